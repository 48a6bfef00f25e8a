#!/bin/sh
# Run a command inside a root tree: enter_tree.sh TREE COMMAND [ARGUMENT...]
# Started by `unshare --mount --pid --fork --kill-child`, so that every mount and every leftover process vanishes
# with the command. Nothing of the build host is visible but /dev.
set -eu
tree=$1
shift
mount --make-rprivate /
mount --bind "$tree" "$tree"
mount -t proc proc "$tree/proc"
mount -t sysfs -o ro sysfs "$tree/sys"
mount --rbind /dev "$tree/dev"
mount -t tmpfs tmpfs "$tree/run"
mount -t tmpfs tmpfs "$tree/tmp"
# With a folder of the build host that takes what the command makes, the tree itself is only read.
if [ -n "${ASRBOX_OUT:-}" ]; then
  mount -o remount,bind,ro "$tree"
  mount --bind "$ASRBOX_OUT" "$tree/mnt"
fi
exec chroot "$tree" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 TZ=UTC HOME=/root \
  PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0 SYSTEMD_OFFLINE=1 SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-0}" "$@"
