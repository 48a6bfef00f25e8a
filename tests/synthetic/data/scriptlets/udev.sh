systemd-hwdb --usr update
