#!/bin/sh
# Install the named Debian packages, if any of them is absent: install_host_packages.sh PACKAGE...
set -eu
absent=
for package in "$@"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || absent="$absent $package"
done
if [ -z "$absent" ]; then
  echo "  all are installed"
  exit 0
fi
if [ "$(id -u)" != 0 ]; then
  echo "asrbox: these Debian packages are missing:$absent" >&2
  echo "  hint: run: sudo make deps" >&2
  exit 1
fi
echo "  installing:$absent"
export DEBIAN_FRONTEND=noninteractive
apt-get -qq -o DPkg::Lock::Timeout=300 update
# shellcheck disable=SC2086  a list of package names
apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $absent > /dev/null
# Its tests start one of their own; the daemon of the package is not wanted.
case "$absent" in
  *zabbix-proxy*) systemctl disable --quiet --now zabbix-proxy.service 2> /dev/null || true ;;
esac
