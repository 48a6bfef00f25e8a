#!/bin/sh
# Synthetic stage 1. It is not Anaconda: it does what Anaconda's does first, and no more. It waits for the medium that
# inst.stage2 names, reads the kickstart that inst.ks names, says what it has read, and switches the machine off.
PATH=/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
while read -r module; do
    insmod "/modules/$module"
done < /modules/order

say() { echo "synthetic-stage1: $*" > /dev/ttyS0; }
end() { say "$*"; sync; poweroff -f; }

stage2= kickstart= check=
for word in $(cat /proc/cmdline); do
    case $word in
        inst.stage2=hd:LABEL=*) stage2=${word#inst.stage2=hd:LABEL=} ;;
        inst.ks=hd:LABEL=*) kickstart=${word#inst.ks=hd:LABEL=} ;;
        rd.live.check) check=yes ;;
    esac
done
firmware=bios
[ -d /sys/firmware/efi ] && firmware=uefi
say "booted by $firmware with inst.stage2 label ${stage2:-none}, media check ${check:-no}"
[ -n "$stage2" ] || end "failed: no inst.stage2=hd:LABEL=…"
[ -n "$kickstart" ] || end "failed: no inst.ks=hd:LABEL=…"

# As in Anaconda, a partition of a medium that is itself ISO 9660 is passed over for the whole.
find_label() {
    for device in /dev/sr? /dev/sd? /dev/vd?; do
        [ -b "$device" ] || continue
        found=$(dd if="$device" bs=1 skip=32808 count=32 2> /dev/null | sed 's/ *$//')
        [ "$found" = "$1" ] && { echo "$device"; return 0; }
    done
    return 1
}

label=${kickstart%%:*}
path=${kickstart#*:}
tries=0
until device=$(find_label "$label"); do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || end "failed: no medium with the label $label"
    sleep 0.5
done
[ "$stage2" = "$label" ] || end "failed: inst.stage2 names $stage2, inst.ks $label"
mkdir -p /run/install/repo
mount -t iso9660 -o ro "$device" /run/install/repo || end "failed: $device cannot be mounted"
[ -s /run/install/repo/images/install.img ] || end "failed: no images/install.img"
[ -s "/run/install/repo$path" ] || end "failed: no $path"
sum=$(sha256sum "/run/install/repo$path")
end "kickstart sha256 ${sum%% *} from label $label"
