#!/bin/sh
# In a test host: an image set with more appliances than the build made. $1: copies of base, each an image of its own;
# $2: small ones with nothing in them but busybox, which is at $3. Prints "name sha256 bytes" of every new image.
set -eu
images=/var/lib/asrbox/images
work=/run/many
mkdir "$work" && cd "$work"
mkdir old new
mount -t squashfs -o loop,ro "$images/images.squashfs" old

serial=0
while [ "$serial" -lt "$1" ]; do
    one=new/copy$serial
    mkdir "$one" "$one/rootfs"
    cp -r old/base/templates "$one/templates"
    sed "s/^  serial: .*/  serial: copy$serial/" old/base/metadata.yaml > "$one/metadata.yaml"
    mount --bind old/base/rootfs "$one/rootfs"
    serial=$((serial + 1))
done

serial=0
while [ "$serial" -lt "$2" ]; do
    one=new/small$serial
    mkdir "$one" "$one/templates" "$one/rootfs"
    for folder in bin dev etc/asrbox proc run sbin sys tmp; do mkdir -p "$one/rootfs/$folder"; done
    cp "$3" "$one/rootfs/bin/busybox"
    cat > "$one/rootfs/sbin/init" << 'INIT'
#!/bin/busybox sh
# Its address, and a port on which somebody answers.
trap 'exit 0' PWR TERM
busybox ip link set lo up
busybox ip link set eth0 up
busybox ip address add "$(busybox cat /etc/address)" dev eth0
busybox httpd -f -p 80 -h /tmp &
while :; do wait $!; busybox sleep 1; done
INIT
    chmod 755 "$one/rootfs/sbin/init"
    printf '{{ config_get("user.asrbox.addresses", "") }}' > "$one/templates/address.tpl"
    cat > "$one/metadata.yaml" << METADATA
architecture: x86_64
creation_date: 1
properties:
  serial: small$serial
templates:
  /etc/address:
    when: [create, copy, start]
    template: address.tpl
METADATA
    serial=$((serial + 1))
done

# shellcheck disable=SC2046  # names without spaces
mksquashfs $(find old -mindepth 1 -maxdepth 1 -type d) $(find new -mindepth 1 -maxdepth 1) images.squashfs \
    -comp zstd -Xcompression-level 1 -no-progress -quiet >&2
for one in new/*; do
    umount "$one/rootfs" 2> /dev/null || true
done
umount old
mount -t squashfs -o loop,ro images.squashfs old
for one in new/*; do
    name=${one#new/}
    (cd "old/$name" && sh -c "$4") > image.tar 2> tar.log
    echo "$name $(sha256sum < image.tar | cut -d ' ' -f 1) $(stat -c %s image.tar)"
done
umount old
stat -c 'images.squashfs - %s' images.squashfs
mv images.squashfs "$images/images.squashfs"
cd / && rm -r "$work"
