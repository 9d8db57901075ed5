#!/bin/bash
# One host, inside namespaces of its own: an address, a home, /tmp, /dev/shm, an environment, and an SSH server.
# host.sh FOLDER INTERFACE ADDRESS GATEWAY ENVIRONMENT PYTHON. FOLDER is the host's disk; it outlives a crash of the host.
set -euo pipefail
folder=$1 interface=$2 address=$3 gateway=$4 environment=$5 python=$6
keys=$folder/../keys wheels=$folder/../wheels home=$(getent passwd root | cut -d: -f6)
hostname "$(basename "$folder")"
until ip link show "$interface" > /dev/null 2>&1; do sleep 0.1; done
ip link set lo up
ip addr add "$address/24" dev "$interface"
ip link set "$interface" up
ip route add default via "$gateway"

mkdir -p "$folder"/{above,work,merged,root/.config/pip}
mount -t overlay overlay -o "lowerdir=$environment,upperdir=$folder/above,workdir=$folder/work" "$folder/merged"
[ -e "$folder/root/raysim-env" ] || ln -s "$environment" "$folder/root/raysim-env"
# Ray's workers yield to other programs (nice 15); here they share the machine with whatever else runs on it
grep -qs niceness "$folder/root/.bashrc" || echo 'export RAY_worker_niceness=0' >> "$folder/root/.bashrc"
# there is no internet here: pip finds what it needs in a folder
printf '[global]\nno-index = true\nfind-links = %s\ndisable-pip-version-check = true\n' "$wheels" \
    > "$folder/root/.config/pip/pip.conf"
if [[ $python == "$home"/* ]]; then   # the base Python would be hidden by the host's home
    mkdir -p "$folder$python"
    mount --bind "$python" "$folder$python"
fi
mount --rbind "$folder/root" "$home"
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
chmod 1777 /tmp
mkdir -p "$environment"
mount --bind "$folder/merged" "$environment"
mount -t tmpfs tmpfs /run
mkdir /run/sshd
exec /usr/sbin/sshd -D -f /dev/null -h "$keys/host" -o ListenAddress="$address" -o PidFile=none \
    -o AuthorizedKeysFile="$keys/id.pub" -o StrictModes=no -o PermitRootLogin=prohibit-password -o UsePAM=no \
    -o MaxStartups=50 -o LogLevel=ERROR
