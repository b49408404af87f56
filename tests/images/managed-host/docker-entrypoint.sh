#!/usr/bin/env bash
# Starts the host's engine, if it has one, with the arguments given here; then becomes its ssh server.
# Who may log in as root or deploy: AUTHORIZED_KEYS, or the file /run/secrets/authorized_keys.
set -euo pipefail

authorise() {
    local home=$1 owner=$2
    install --directory --owner="$owner" --mode=700 "$home/.ssh"
    install --owner="$owner" --mode=600 /dev/null "$home/.ssh/authorized_keys"
    printf '%s\n' "$keys" > "$home/.ssh/authorized_keys"
}

# A container that is not wholly privileged finds them mounted read-only.
open_kernel_folders() {
    local folder
    for folder in /sys $(awk '$3 ~ /^cgroup/ { print $2 }' /proc/mounts); do
        [[ -w $folder ]] || mount -o remount,bind,rw "$folder"
    done
}

keys=${AUTHORIZED_KEYS:-}
[[ ! -f /run/secrets/authorized_keys ]] || keys+=$'\n'$(</run/secrets/authorized_keys)
authorise /root root
authorise /home/deploy deploy

# What a killed host left behind would keep its engine from starting again.
rm -rf /run/docker.pid /run/docker /run/containerd
open_kernel_folders
if command -v dockerd > /dev/null; then
    setsid dockerd "$@" < /dev/null >> /var/log/dockerd.log 2>&1 &
fi

[[ -f /etc/ssh/ssh_host_ed25519_key ]] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
mkdir -p /run/sshd
exec /usr/sbin/sshd -D -e -o HostKey=/etc/ssh/ssh_host_ed25519_key -o MaxStartups=100 -o MaxSessions=100
