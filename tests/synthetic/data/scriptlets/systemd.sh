journalctl --update-catalog
systemd-sysusers
