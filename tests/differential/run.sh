#!/bin/bash
# Runs the differential test on a mount and on a plain directory: once with a seed that never
# changes, once with a new one, each with remounts in between. TAP on stdout.
#
#	run.sh DIFFERENTIAL [OPS]
#
# To repeat a failure: SEED=N run.sh DIFFERENTIAL OPS
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/tap.sh
. "$here/../../scripts/tap.sh"

differential=$(realpath "$1")
ops=${2:-20000}
: "${CAIRNFS_BIN:?names the program under test}"

# run_seed NAME SEED [MOUNT-OPTIONS]
run_seed() {
	local dir="$scratch/$1" options=${3:-xattr} status=0
	local mount="$CAIRNFS_BIN mount $dir/workspace.db $dir/mount -o $options"

	mkdir -p "$dir/mount" "$dir/plain"
	"$CAIRNFS_BIN" init "$dir/workspace.db"
	$mount
	"$differential" --dir-a "$dir/mount" --dir-b "$dir/plain" --seed "$2" --ops "$ops" \
		--xattr --remount-every $((ops / 4)) \
		--remount-cmd "$CAIRNFS_BIN umount $dir/mount && $mount" || status=$?
	"$CAIRNFS_BIN" umount "$dir/mount"
	[ "$(sqlite3 "$dir/workspace.db" 'PRAGMA integrity_check')" = ok ]
	return "$status"
}

scratch
will_mount "$scratch"/{fixed,random,relatime,strictatime,writeback,commit}/mount
if [ -n "${SEED:-}" ]; then
	check "seed $SEED" run_seed fixed "$SEED"
else
	random_seed=$(od -An -N6 -tu8 /dev/urandom | tr -d ' ')
	check "seed 20 with xattr" run_seed fixed 20
	echo "# to repeat the next one: SEED=$random_seed"
	check "random seed $random_seed" run_seed random "$random_seed"
	ops=$((ops / 4))
	check "relatime" run_seed relatime 21 xattr,relatime
	check "strictatime" run_seed strictatime 24 xattr,strictatime
	check "writeback cache" run_seed writeback 22 xattr,writeback_cache
	check "durability=commit" run_seed commit 23 xattr,durability=commit
fi
finish
