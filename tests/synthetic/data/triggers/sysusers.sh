systemd-sysusers
