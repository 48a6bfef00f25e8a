# Databases and log belong to the server. The security database is not made here: it holds a password.
systemd-sysusers firebird.conf
find /var/lib/firebird/4.0 /var/log/firebird -type d -exec chown firebird:firebird {} + -exec chmod 0770 {} +
