#!/bin/sh
# What systemd does for the one unit of the host that the agent asks it for, where a test has no systemd: it stands in
# the place of systemctl. Commands, user, folders and condition are those of the unit itself.
#   ENTRY_UNIT     the unit; by default where the role puts it
#   ENTRY_ROOT     before the folders that the unit names; by default nothing
#   ENTRY_NGINX    instead of /usr/sbin/nginx; by default that
set -eu
unit=${ENTRY_UNIT:-/etc/systemd/system/asrbox-entry.service}
root=${ENTRY_ROOT:-}
run=$root/run/asrbox-entry
verb=$1
if [ "$2" != asrbox-entry.service ]; then
    echo "Unit $2 not found." >&2
    exit 5
fi

value() {
    sed -n "s/^$1=//p" "$unit" | sed -e "s|/usr/sbin/nginx|${ENTRY_NGINX:-/usr/sbin/nginx}|" \
        -e "s|/var/lib/asrbox|$root&|g" -e "s|/run/asrbox-entry|$root&|g"
}
runs() {
    [ -s "$run/nginx.pid" ] && kill -0 "$(cat "$run/nginx.pid")" 2> /dev/null
}
stop() {
    if runs; then
        kill "$(cat "$run/nginx.pid")"
        while runs; do sleep 0.1; done
    fi
}
start() {
    [ -e "$(value ConditionPathExists)" ] || return 0
    install -d -o 901 -g 901 -m 0700 "$run" "$root/var/lib/asrbox-entry"
    setsid setpriv --reuid=901 --regid=901 --clear-groups --bounding-set=-all,+net_bind_service \
        --inh-caps=-all,+net_bind_service --ambient-caps=-all,+net_bind_service --no-new-privs \
        sh -c "exec $(value ExecStart)" < /dev/null >> "$root/run/asrbox-entry.log" 2>&1 &
    tries=200
    until runs; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || exit 1
        sleep 0.1
    done
}

case $verb in
    stop) stop ;;
    restart) stop; start ;;
    reload-or-restart)
        if runs; then
            MAINPID=$(cat "$run/nginx.pid") sh -c "$(value ExecReload)"
        else
            start
        fi
        ;;
    *)
        echo "Unknown command verb $verb." >&2
        exit 1
        ;;
esac
