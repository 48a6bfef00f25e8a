# Standard input: the files of the transaction below the folder. /run, /tmp and /dev are of the moment, not of the tree.
files=$(sed -n 's,.*/\([^/]*\.conf\)$,\1,p' | sort -u)
[ -z "$files" ] || systemd-tmpfiles --create --exclude-prefix=/dev --exclude-prefix=/run --exclude-prefix=/tmp \
  --exclude-prefix=/proc --exclude-prefix=/sys $files
