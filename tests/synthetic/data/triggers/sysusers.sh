systemd-sysusers
rm -f /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow-
