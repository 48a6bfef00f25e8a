# What the installed host starts by itself: no screen, and the agent that makes the containers.
set -eu
systemctl set-default multi-user.target
systemctl enable asrbox-agent.service
