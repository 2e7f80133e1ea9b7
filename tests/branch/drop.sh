#!/bin/bash
# cairnfs reset, reject and gc: changes that are not wanted. TAP on stdout.
# What `with` runs is expanded there.
# shellcheck disable=SC2016
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/tap.sh
. "$here/../../scripts/tap.sh"
# shellcheck source=tests/branch/lib.sh
. "$here/lib.sh"
: "${CAIRNFS_BIN:?names the program under test}"

cairnfs() {
	"$CAIRNFS_BIN" "$@"
}

# fresh KIND: a branch that has been changed, over a base of this kind.
fresh() {
	rm -rf "$scratch"/*.db* "$scratch/base-directory" "$scratch/.cairnfs-trash"
	make_base "$1"
	cairnfs init "$agent" --base "$base"
	mounted "$agent" list_tree "$mnt" >"$scratch/base.tree"
	mounted "$agent" change "$mnt"
	mounted "$agent" list_tree "$mnt" >"$scratch/agent.tree"
}

# shows FILE: what the branch shows is what is listed there.
shows() {
	mounted "$agent" list_tree "$mnt" >"$scratch/now"
	same "$1" "$scratch/now"
}

empty() {
	[ "$(sqlite3 "$agent" 'SELECT (SELECT COUNT(*) FROM fs_inode), (SELECT COUNT(*) FROM fs_dentry),
		(SELECT COUNT(*) FROM fs_data), (SELECT COUNT(*) FROM fs_whiteout),
		(SELECT COUNT(*) FROM cairn_origin), (SELECT COUNT(*) FROM cairn_seen)')" = '1|0|0|0|0|0' ]
}

# gone PATH...: of these changes none is left, and all others are.
gone() {
	local path

	cairnfs diff "$agent" --name-status | LC_ALL=C sort >"$scratch/before"
	cairnfs reset "$agent" "$@" >"$scratch/out"
	cairnfs diff "$agent" --name-status | LC_ALL=C sort >"$scratch/after"
	cairnfs check "$agent"
	for path in "$@"; do
		sed -i "\\#	$path\$#d; \\#	$path/#d; \\#	$path	#d" "$scratch/before"
	done
	same "$scratch/before" "$scratch/after"
}

reset_paths() {
	fresh "$1"
	gone src/a.c
	gone tree
	gone old
	gone big
	gone mode link
	gone 'a name'
	gone s1 s2
	gone empty
	gone dir-to-file file-to-dir
	gone docs documents
	gone deep up
	gone src docs n1 n2 new-link $'\xc3\xa4'
	[ "$(cairnfs diff "$agent")" = 'No changes.' ]
	sed 's/^keep f/&/' "$scratch/base.tree" | grep -v '^keep ' >"$scratch/want"
	mounted "$agent" list_tree "$mnt" | grep -v '^keep ' >"$scratch/now"
	same <(sed -E 's/( d [0-7]+ [0-9]+ [0-9]+) .*/\1/' "$scratch/want") \
		<(sed -E 's/( d [0-7]+ [0-9]+ [0-9]+) .*/\1/' "$scratch/now")
}

reset_all() {
	fresh "$1"
	cairnfs reset "$agent" / >"$scratch/out"
	empty
	shows "$scratch/base.tree"
	[ "$(cairnfs reset "$agent" src)" = 'There is no change to drop.' ]
	not cairnfs reset "$agent" 2>"$scratch/err"
	[ "$(wc -l <"$scratch/err")" = 1 ]
}

# A mount sees it, with what it had in memory until then.
reset_mounted() {
	fresh "$1"
	cairnfs mount "$agent" "$mnt" -o commit_interval_ms=60000
	echo new >"$mnt/new"
	echo other >"$mnt/other"
	echo again >"$mnt/src/a.c"
	cairnfs reset "$agent" new src/a.c
	for _ in $(seq 50); do
		[ ! -e "$mnt/new" ] && break
		sleep 0.1
	done
	[ ! -e "$mnt/new" ]
	[ "$(cat "$mnt/other")" = other ]
	[ "$(head -n 2 "$mnt/src/a.c" | tail -n 1)" = two ]
	cairnfs umount "$mnt"
	cairnfs check "$agent"
}

reject() {
	fresh "$1"
	chmod 600 "$agent"
	cairnfs kv "$agent" set key 1
	cairnfs reject "$agent" --json >"$scratch/json"
	kept=$(jq -r .kept "$scratch/json")
	[ -f "$kept" ]
	[ "$(stat -c %a "$agent")" = 600 ]
	empty
	shows "$scratch/base.tree"
	cairnfs restore "$kept" "$agent" --force
	shows "$scratch/agent.tree"
	cairnfs kv "$agent" get key
	cairnfs reject "$agent" --purge
	empty
	[ "$(find "$scratch/.cairnfs-trash" -type f | wc -l)" = 1 ]
}

reject_mounted() {
	fresh "$1"
	cairnfs mount "$agent" "$mnt"
	not cairnfs reject "$agent" 2>"$scratch/err"
	[ "$(wc -l <"$scratch/err")" = 1 ]
	grep -F "$mnt" "$scratch/err"
	cairnfs umount "$mnt"
	shows "$scratch/agent.tree"
	[ ! -e "$scratch/.cairnfs-trash" ] || [ -z "$(ls -A "$scratch/.cairnfs-trash")" ]
}

gc() {
	fresh workspace
	cairnfs reject "$agent"
	mounted "$agent" change "$mnt"
	cairnfs accept "$agent"
	cairnfs gc "$agent" "$base" | grep -Fx 'Gone: files: 0 (0 bytes), undo records: 0'
	cairnfs gc "$agent" "$base" --older-than=0 --dry-run |
		grep '^Would go: files: 1 (.*), undo records: 1$'
	cairnfs gc "$agent" "$base" --older-than=0 --json >"$scratch/json"
	jq -e '.records == 1 and (.files | length) == 1' "$scratch/json"
	[ -z "$(ls -A "$scratch/.cairnfs-trash")" ]
	[ "$(sqlite3 "$base" 'SELECT (SELECT COUNT(*) FROM cairn_undo) +
		(SELECT COUNT(*) FROM cairn_undo_inode) + (SELECT COUNT(*) FROM cairn_undo_data)')" = 0 ]
	not cairnfs undo "$base" 2>"$scratch/err"
	[ "$(wc -l <"$scratch/err")" = 1 ]
	not cairnfs gc --older-than=x
}

# Kept one right after the other; all of them are old enough for 0.
gc_at_once() {
	fresh workspace
	cairnfs reject "$agent"
	cairnfs reject "$agent"
	cairnfs reject "$agent"
	[ "$(find "$scratch/.cairnfs-trash" -type f | wc -l)" = 3 ]
	cairnfs gc "$agent" --older-than=0 | grep '^Gone: files: 3 '
	[ -z "$(ls -A "$scratch/.cairnfs-trash")" ]
}

# Without a workspace: those of the working directory.
gc_all() {
	mkdir -p "$scratch/dir/project"
	cd "$scratch/dir"
	cairnfs init a --base project
	mounted .agentfs/a.db touch "$mnt/x"
	cairnfs reject a
	cairnfs gc --older-than=0 | tee "$scratch/out"
	grep -F 'files: 1' "$scratch/out"
}

scratch
mnt=$scratch/mnt
agent=$scratch/agent.db
base=
will_mount "$mnt"
for kind in workspace directory; do
	check "$kind: reset drops what is named, and that alone" reset_paths "$kind"
	check "$kind: reset of everything leaves nothing" reset_all "$kind"
	check "$kind: a mount sees a reset" reset_mounted "$kind"
	check "$kind: reject empties a branch and keeps it" reject "$kind"
	check "$kind: a mounted branch is not rejected" reject_mounted "$kind"
done
check 'gc lets go of what is old' gc
check 'gc lets go of what was kept just now' gc_at_once
check 'gc finds the workspaces of a directory' gc_all
finish
