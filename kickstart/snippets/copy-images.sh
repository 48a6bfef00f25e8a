# The containers' images and the answers go to the installed disk; the agent imports the images on first boot.
set -eu
target=/mnt/sysroot
install -d -m 0755 "$target/var/lib/asrbox" "$target/var/lib/asrbox/images" "$target/etc/asrbox"
cp --no-preserve=ownership \
    /run/install/repo/asrbox/images.squashfs \
    /run/install/repo/asrbox/images.json \
    /run/install/repo/asrbox/distribution.json \
    "$target/var/lib/asrbox/images/"
chroot "$target" /opt/asrbox/bin/python -m appliances.base.installer check-images /var/lib/asrbox/images
{% if image_sha256 -%}
install -m 0600 /tmp/asrbox/machine.ks "$target/root/machine.ks"
chroot "$target" /opt/asrbox/bin/python -m appliances.base.installer network /root/machine.ks
rm "$target/root/machine.ks"
{% endif -%}
install -m 0644 /tmp/asrbox/seed.toml "$target/etc/asrbox/seed.toml"
