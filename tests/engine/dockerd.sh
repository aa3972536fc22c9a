#!/bin/bash
# Runs one dockerd for the tests, cut off from the host's Docker, until stdin ends; harness.ts is its user.
#
#   dockerd.sh DIR TREE NET BUSYBOX DOCKERD-ARGUMENT…
#
# DIR      the engine's own directory: socket, state, logs. Its name is the engine's name on this machine
# TREE     a root file system to take dockerd from, or "-" for the one on the PATH
# NET      "private": its own loop-back and nothing else; "host": the host's network
# BUSYBOX  a static busybox, to bring the loop-back up where there is no ip(8)
#
# dockerd is process 1 of its own PID namespace in its own mount namespace: when it ends, however it ends,
# the kernel ends containerd and all containers with it, and every mount is gone. What is left to clean up
# is DIR and the cgroups.
#
# DIR/run is its /run/docker/plugins: an engine tries each socket there for many seconds, those of other tests too.
#
# stdin    closed (the tests ended, even by kill -9): stop dockerd and remove all of it
#          a line "keep": stop dockerd and leave DIR, for another start with the same state
set -u
dir=$1 tree=$2 net=$3 busybox=$4
shift 4
name=${dir##*/}

namespaces=(--mount --pid --fork --kill-child=KILL)
[ "$net" = host ] || namespaces+=(--net)
rm -f "$dir/pid" "$dir/dockerd.pid" "$dir/docker.sock" "$dir/exec/containerd/containerd.pid"
[ "$tree" != - ] || mkdir -p /run/docker/plugins /etc/docker /run/containerd # to mount on

# setpriv: should this shell be killed, unshare dies with it, and so dockerd and all the rest.
# Under the host's /proc a process of the new namespace still sees its number outside, the one to signal.
# shellcheck disable=SC2016 # expanded by the inner shell
setpriv --pdeathsig KILL unshare "${namespaces[@]}" bash -c '
  set -eu
  dir=$1 tree=$2 net=$3 busybox=$4
  shift 4
  read -r pid _ </proc/self/stat
  echo "$pid" >"$dir/pid.new"
  [ "$net" = host ] || "$busybox" ip link set lo up
  if [ "$tree" = - ]; then
    mount -t tmpfs tmpfs /etc/docker      # its keys and certificates are not the host engine’s
    mount -t tmpfs tmpfs /run/containerd  # nor is a containerd that runs here already
    mount --bind "$dir/run" /run/docker/plugins
    mount -t proc proc /proc
    mv "$dir/pid.new" "$dir/pid"
    exec dockerd "$@"
  fi
  mount --bind "$tree" "$tree"
  mount -t tmpfs tmpfs "$tree/run"
  mount -t tmpfs tmpfs "$tree/etc/docker" 2>/dev/null || true
  mount --rbind /sys "$tree/sys"
  mount --rbind /dev "$tree/dev"
  mount -t proc proc "$tree/proc"
  mkdir -p "$tree$dir" "$tree/run/docker/plugins"
  mount --bind "$dir" "$tree$dir"
  mount --bind "$dir/run" "$tree/run/docker/plugins"
  mv "$dir/pid.new" "$dir/pid"
  # The tree becomes the root of the whole mount namespace: from a mere chroot, docker exec would join the
  # container'"'"'s namespace and find itself in the root file system of the host.
  cd "$tree"
  pivot_root . .
  umount --lazy .
  exec chroot . /usr/sbin/dockerd "$@"
' dockerd "$dir" "$tree" "$net" "$busybox" "$@" </dev/null >>"$dir/dockerd.log" 2>&1 &
unshare=$!

# Wait for the word to stop. Should dockerd end by itself, $dir stays for the tests to read.
keep=
while read -r line; do [ "$line" = keep ] && keep=1 && break; done

# An engine whose state is wanted, or that has changed the host's network, gets the time to end by itself.
pid=
[ -r "$dir/pid" ] && read -r pid <"$dir/pid"
if kill -0 "$unshare" 2>/dev/null && [ -n "$pid" ] && { [ -n "$keep" ] || [ "$net" = host ]; }; then
  kill -TERM "$pid" 2>/dev/null
  for _ in $(seq 50); do
    kill -0 "$unshare" 2>/dev/null || break
    sleep 0.1
  done
fi
# The kernel ends all of its namespace before it reports the end of dockerd, for which unshare waits.
kill -0 "$unshare" 2>/dev/null && kill -KILL "${pid:-$unshare}" 2>/dev/null
wait "$unshare" 2>/dev/null
[ -z "$keep" ] || exit 0

# Plugins that the tests had no chance to stop.
for each in "$dir"/plugins/*; do
  [ -e "$each" ] && kill -KILL "${each##*/}" 2>/dev/null
done
for group in "/sys/fs/cgroup/$name" "/sys/fs/cgroup"/*/"$name"; do
  # A cgroup can be busy for a moment after its last process.
  for _ in 1 2 3 4 5; do
    [ -d "$group" ] || break
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
  done
done
[ "$tree" = - ] || rmdir "$tree$dir" 2>/dev/null
for _ in 1 2 3 4 5; do
  rm -rf --one-file-system "$dir" 2>/dev/null && break
  sleep 0.2
done
exit 0
