#!/bin/sh
# PID 1 of a test host. Started in its own mount, network, pid and uts namespace; puts an overlay over the host tree $1,
# with what has to last in the folder $2, enters it and waits. $3 stands in for systemctl: there is no systemd.
# Whatever it mounts ends with it.
set -e
tree=$1
state=$2
root=$state/root

mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$tree,upperdir=$state/upper,workdir=$state/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"    # a new one: it shows the devices of this network namespace
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
mount --bind "$state/console" "$root/dev/console"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root/var/lib/incus" "$root/var/lib/asrbox" "$root/etc/asrbox" "$root/var/lib/lxcfs"
mount --bind "$state/incus" "$root/var/lib/incus"
mount --bind "$state/asrbox" "$root/var/lib/asrbox"
mount --bind "$state/etc" "$root/etc/asrbox"
mount --bind "$state/run" "$root/run"
mount --bind "$3" "$root/usr/bin/systemctl"
ip link set lo up

# User namespaces are refused in a chroot, hence pivot_root.
cd "$root"
mkdir -p oldroot
pivot_root . oldroot
umount -l /oldroot
mount --make-rshared /
hostname asrbox-test
: > /run/entered
while :; do
    sleep 3600 &
    wait $!
done
