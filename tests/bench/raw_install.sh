# What an installation cannot do without, and nothing else.
printf "label: gpt\nsize=1MiB, type=21686148-6449-6E6F-744E-656564454649\nsize=256MiB, type=U\nsize=512MiB, type=L\ntype=L\n" | sfdisk -q --wipe always /dev/vda
udevadm settle
mkfs.vfat -F32 /dev/vda2
mkfs.ext4 -q -F /dev/vda3
pvcreate -qq -ff -y /dev/vda4
vgcreate -qq raw /dev/vda4
lvcreate -qq -y -n root -L 6G raw
lvcreate -qq -y --type thin-pool -n pool -l 90%FREE raw
mkfs.ext4 -q -F /dev/raw/root
mkdir -p /tmp/raw/t
mount /dev/raw/root /tmp/raw/t
mkdir -p /tmp/raw/t/boot
mount /dev/vda3 /tmp/raw/t/boot
unsquashfs -f -no-progress -d /tmp/raw/t /run/initramfs/live/LiveOS/squashfs.img
mkdir -p /tmp/raw/t/boot/efi
mount /dev/vda2 /tmp/raw/t/boot/efi
for f in dev proc sys; do mount --rbind /$f /tmp/raw/t/$f; done
chroot /tmp/raw/t grub-install --target=i386-pc /dev/vda
chroot /tmp/raw/t grub-install --target=x86_64-efi --efi-directory=/boot/efi --removable --no-nvram
sync
