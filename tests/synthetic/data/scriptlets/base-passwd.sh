# The group of the shadow files is in a file of the same package, so that rpm cannot know it in time.
chgrp shadow /etc/shadow /etc/gshadow
