# The containers' images and the answers go to the installed disk; the agent imports the images on first boot.
set -eu
target=/mnt/sysroot
install -d -m 0755 "$target/var/lib/asrbox" "$target/var/lib/asrbox/images" "$target/etc/asrbox"
cp --no-preserve=ownership \
    /run/install/repo/asrbox/images.squashfs \
    /run/install/repo/asrbox/images.json \
    /run/install/repo/asrbox/distribution.json \
    "$target/var/lib/asrbox/images/"
expected=$(sed -n 's/.*"size": *\([0-9]*\).*/\1/p' "$target/var/lib/asrbox/images/images.json" | head -n 1)
install -m 0644 /tmp/asrbox/seed.toml "$target/etc/asrbox/seed.toml"
