#!/bin/bash
# Copies of a workspace where the file system can share blocks between files. TAP on stdout.
#
# The environment names the program under test: CAIRNFS_BIN. Needs root and a loop device for a
# file system of its own (XFS, or btrfs); where there is none, the one case says why and is skipped.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/tap.sh
. "$here/../../scripts/tap.sh"
: "${CAIRNFS_BIN:?names the program under test}"

skip() {
	echo "ok 1 - copies share blocks # SKIP $*"
	echo 1..1
	exit 0
}

# make_disk: mounts a new file system with reflinks on $disk.
make_disk() {
	truncate -s 640M "$scratch/image"
	if command -v mkfs.xfs >/dev/null; then
		mkfs.xfs -q -m reflink=1 "$scratch/image" >/dev/null
	elif command -v mkfs.btrfs >/dev/null; then
		mkfs.btrfs -q "$scratch/image" >/dev/null
	else
		skip "neither mkfs.xfs nor mkfs.btrfs is installed"
	fi
	mkdir "$disk"
	mount -o loop "$scratch/image" "$disk" 2>"$scratch/why" ||
		skip "no loop mount here: $(head -n 1 "$scratch/why")"
	tap_mounts+=("$disk")
}

# used: kilobytes in use on the disk.
used() {
	sync -f "$disk"
	df --output=used -k "$disk" | tail -n 1
}

# is_shared FILE: its blocks are no others' alone.
is_shared() {
	filefrag -v "$1" | grep -q shared
}

make_workspace() {
	"$CAIRNFS_BIN" init "$disk/work.db"
	mkdir "$disk/mnt" "$disk/other"
	"$CAIRNFS_BIN" mount "$disk/work.db" "$disk/mnt"
	head -c 128M /dev/urandom >"$disk/mnt/large"
	"$CAIRNFS_BIN" umount "$disk/mnt"
}

# says_shared: what was printed last says that it shares.
says_shared() {
	grep -q '"shared": true' "$scratch/json"
}

forks_share() {
	local before
	before=$(used)
	"$CAIRNFS_BIN" fork "$disk/work.db" "$disk/fork.db" --json >"$scratch/json"
	says_shared
	is_shared "$disk/fork.db"
	[ $(($(used) - before)) -lt 8192 ]
	cmp "$disk/work.db" "$disk/fork.db"
}

of_a_mount_with_changes() {
	"$CAIRNFS_BIN" mount "$disk/work.db" "$disk/mnt" -o commit_interval_ms=600000
	echo common >"$disk/mnt/small"
	"$CAIRNFS_BIN" snapshot "$disk/work.db" "$disk/snapshot.db" --json >"$scratch/json"
	says_shared
	"$CAIRNFS_BIN" check "$disk/snapshot.db"
	echo changed >"$disk/mnt/small"
	"$CAIRNFS_BIN" mount "$disk/snapshot.db" "$disk/other"
	grep -qx common "$disk/other/small"
	echo other >"$disk/other/small"
	cmp "$disk/mnt/large" "$disk/other/large"
	"$CAIRNFS_BIN" umount "$disk/other"
	grep -qx changed "$disk/mnt/small"
	"$CAIRNFS_BIN" umount "$disk/mnt"
	"$CAIRNFS_BIN" check "$disk/work.db"
	"$CAIRNFS_BIN" check "$disk/snapshot.db"
}

under_load() {
	local writer i
	"$CAIRNFS_BIN" mount "$disk/work.db" "$disk/mnt" -o commit_interval_ms=10
	mkdir "$disk/mnt/load"
	(
		for ((n = 0; ; n++)); do
			[ ! -e "$scratch/stop" ] || exit 0
			head -c 100K /dev/urandom >"$disk/mnt/load/$((n % 50))"
		done
	) &
	writer=$!
	for i in {1..15}; do
		"$CAIRNFS_BIN" fork "$disk/work.db" "$disk/f$i.db" --json >"$scratch/json"
		says_shared
	done
	touch "$scratch/stop"
	wait "$writer"
	"$CAIRNFS_BIN" umount "$disk/mnt"
	for i in {1..15}; do
		"$CAIRNFS_BIN" check "$disk/f$i.db"
		rm "$disk/f$i.db"
	done
}

restores_share() {
	"$CAIRNFS_BIN" restore "$disk/snapshot.db" "$disk/work.db" --json >"$scratch/json"
	says_shared
	"$CAIRNFS_BIN" check "$disk/work.db"
	"$CAIRNFS_BIN" check "$disk/work.db.before-restore"
}

[ "$(id -u)" -eq 0 ] || skip "needs root"
scratch
disk="$scratch/disk"
make_disk
will_mount "$disk/mnt" "$disk/other"
# The disk is the last to go.
tap_mounts=("$disk/mnt" "$disk/other" "$disk")

make_workspace >/dev/null
check "a fork takes no room" forks_share
check "a snapshot of a mount goes its own way" of_a_mount_with_changes
check "forks under load are sound" under_load
check "a restore shares, too" restores_share
finish
