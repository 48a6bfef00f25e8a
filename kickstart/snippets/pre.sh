# Asks or reads the answers, chooses the disk, and writes the two files that the kickstart includes.
set -eu

installer() {
    "$@" /opt/asrbox/bin/python -m appliances.base.installer pre --admin-group "$ADMIN_GROUP"
}

mkdir -p /tmp/asrbox
if [ -x /opt/asrbox/bin/python ]; then
    installer env
else
    # Anaconda: the same program, out of the host tree on the medium.
    host=/mnt/asrbox-host
    mkdir -p "$host"
    mount -o loop,ro /run/install/repo/LiveOS/squashfs.img "$host"
    for folder in dev proc sys run tmp; do
        mount --rbind "/$folder" "$host/$folder"
        mount --make-rslave "$host/$folder"
    done
    # Anaconda's own screen is on tty1, so the questions go to tty6.
    chvt 6 || true
    status=0
    installer env ASRBOX_CONSOLES=/dev/tty6,/dev/ttyS0 chroot "$host" || status=$?
    chvt 1 || true
    umount -R -l "$host"
    [ "$status" -eq 0 ] || exit "$status"
    {% include "snippets/forget-disk.sh" %}
fi
test -s /tmp/asrbox/machine.ks
test -s /tmp/asrbox/disk.ks
