# Standard input: the files of the transaction below the folder. One kernel's folder is enough to name it.
sed -n 's,^/usr/lib/modules/\([^/]*\)/.*,\1,p' | sort -u | while read -r kernel; do
  [ ! -e "/usr/lib/modules/$kernel/modules.order" ] || depmod "$kernel"
done
