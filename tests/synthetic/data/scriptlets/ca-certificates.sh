# The bundle and the hashed links, of all certificates that the package brings.
cd /usr/share/ca-certificates
find . -name '*.crt' | sed 's,^\./,,' | LC_ALL=C sort > /etc/ca-certificates.conf
update-ca-certificates --fresh > /dev/null
