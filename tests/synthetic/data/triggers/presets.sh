# Standard input: the files of the transaction below the folder. Only units of this transaction: what a role has set stays.
units=$(sed -n 's,^/usr/lib/systemd/system/\([^/]*\.\(service\|socket\|timer\|target\|slice\|path\)\)$,\1,p' | sort -u)
[ -z "$units" ] || systemctl --quiet --no-reload preset $units
