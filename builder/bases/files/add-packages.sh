# Installs packages from a local repository into a tree. Runs in namespaces of its own, so every mount ends with it.
# usage: add-packages.sh TREE REPOSITORY PACKAGE...
tree=$1 repository=$2
shift 2
mount -t proc proc "$tree/proc"
mount -t sysfs -o ro sysfs "$tree/sys"
mount -t tmpfs -o mode=755 tmpfs "$tree/run"
mount -t tmpfs -o mode=1777 tmpfs "$tree/tmp"
here=/run/packages
mkdir -p "$tree$here/repository" "$tree$here/lists/partial" "$tree$here/cache/archives/partial" "$tree/run/lock"
mount --bind -o ro "$repository" "$tree$here/repository"
echo "deb [trusted=yes] file:$here/repository ./" > "$tree$here/sources.list"
apt() {
    chroot "$tree" apt-get --yes \
        -o Dir::Etc::SourceList=$here/sources.list -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists=$here/lists -o Dir::Cache=$here/cache \
        -o APT::Sandbox::User=root -o APT::Install-Recommends=false \
        -o DPkg::Options::=--force-unsafe-io -o DPkg::Options::=--force-confold "$@"
}
apt update
apt install "$@"
