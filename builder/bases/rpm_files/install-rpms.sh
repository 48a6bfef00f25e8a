# Installs packages into a tree. Runs in namespaces of its own, so every mount ends with it.
# usage: install-rpms.sh TREE DATABASE FILE...
tree=$1 database=$2
shift 2
mkdir -p "$tree/proc" "$tree/sys" "$tree/dev"
chmod 555 "$tree/proc" "$tree/sys"
mount -t proc proc "$tree/proc"
mount -t sysfs -o ro sysfs "$tree/sys"
mount -t tmpfs -o mode=755 tmpfs "$tree/dev"
for node in null zero full random urandom tty; do
    : > "$tree/dev/$node"
    mount --bind "/dev/$node" "$tree/dev/$node"
done
ln -s /proc/self/fd "$tree/dev/fd"
ln -s fd/0 "$tree/dev/stdin"
ln -s fd/1 "$tree/dev/stdout"
ln -s fd/2 "$tree/dev/stderr"
# The three folders are ours now: rpm must not write into them. What is signed was checked when it was fetched.
exec rpm --root "$tree" --dbpath "$database" --install --noplugins --nosignature --excludedocs \
    --define '_netsharedpath /proc:/sys:/dev' --define '_install_langs en:en_US:ru:ru_RU' "$@"
