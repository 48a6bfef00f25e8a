# Anaconda would stumble over what an earlier system has left on the disk that the guard allowed to erase.
    disk=/dev/$(sed -n 's/^ignoredisk --only-use=//p' /tmp/asrbox/disk.ks)
    parts=$(lsblk -lnpo NAME,TYPE "$disk" | sed -n 's/ *part$//p')
    for group in $(pvs --noheadings -o vg_name $parts "$disk" 2> /dev/null); do
        vgchange --activate n "$group"
    done
    wipefs --all --force $parts "$disk"
