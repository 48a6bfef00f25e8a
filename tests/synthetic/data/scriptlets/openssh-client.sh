# Nobody may look into the memory of an agent, hence a group of its own.
systemd-sysusers openssh-client.conf
chgrp _ssh /usr/bin/ssh-agent
chmod 2755 /usr/bin/ssh-agent
