#!/bin/sh
# run_in_tree.sh TREE STATE COMMAND...: run a command in a read-only view of a root tree, as a container would see it.
# STATE is a folder of the test with the parts that can be written: etc-asrbox database security log run tmp.
# To be started by `unshare --mount`; the mounts vanish with the command. The network is that of the test.
set -eu
tree=$1 state=$2
shift 2
mount --make-rprivate /
mount --bind "$tree" "$tree"
mount -o remount,bind,ro "$tree"
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
mount -t tmpfs tmpfs "$tree/run"
mkdir "$tree/run/asrbox-firebird"
mount --bind "$state/run" "$tree/run/asrbox-firebird"
mount --bind "$state/tmp" "$tree/tmp"
mount --bind "$state/etc-asrbox" "$tree/etc/asrbox"
mount --bind "$state/security" "$tree$FIREBIRD_SECURITY"
mount --bind "$state/log" "$tree/var/log/firebird"
mount -t tmpfs tmpfs "$tree/var/lib/asrbox"
mkdir "$tree/var/lib/asrbox/database"
mount --bind "$state/database" "$tree/var/lib/asrbox/database"
exec chroot "$tree" "$@"
