# The helper that starts services as other users: only the bus may run it.
systemd-sysusers dbus.conf
chgrp messagebus /usr/lib/dbus-1.0/dbus-daemon-launch-helper
chmod 4754 /usr/lib/dbus-1.0/dbus-daemon-launch-helper
