#!/bin/bash
# cairnfs check --dense of a branch: all that AgentFS would not find in the base comes into it. What
# AgentFS sees then is looked at in tests/interop. TAP on stdout.
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

# begin KIND: a branch that has been changed, over a base of this kind.
begin() {
	rm -rf "$scratch"/*.db* "$scratch/base-directory"
	make_base "$1"
	cairnfs init "$agent" --base "$base"
	more() {
		change "$mnt"
		chmod 600 "$mnt/hard1"
		mkdir "$mnt/docs"
		echo new >"$mnt/docs/d"
		setfattr -n user.colour -v red "$mnt/s1"
	}
	mounted "$agent" more
}

# without_base: no file has bytes in the base, and no whiteout is at the path of an entry.
without_base() {
	[ "$(sqlite3 "$agent" 'SELECT COUNT(*) FROM cairn_origin WHERE data_end <> 0')" = 0 ]
	[ "$(sqlite3 "$agent" "WITH RECURSIVE below(path, ino) AS (SELECT '', 1 UNION ALL
		SELECT b.path || '/' || d.name, d.ino FROM below AS b JOIN fs_dentry AS d
		ON d.parent_ino = b.ino) SELECT COUNT(*) FROM below JOIN fs_whiteout USING (path)")" = 0 ]
	[ "$(sqlite3 "$agent" 'SELECT COUNT(*) FROM fs_inode AS i WHERE mode & 61440 = 32768 AND size <>
		(SELECT COALESCE(SUM(LENGTH(data)), 0) FROM fs_data AS c WHERE c.ino = i.ino)')" = 0 ]
}

shows_the_same() {
	begin "$1"
	tree "$agent" >"$scratch/before"
	not without_base
	cairnfs check "$agent" --dense | tee "$scratch/out"
	grep -E 'completed from its base: [0-9]+ files, [0-9]+ entries' "$scratch/out"
	without_base
	sound "$agent"
	tree "$agent" >"$scratch/after"
	same "$scratch/before" "$scratch/after"
	cairnfs check "$agent" --dense --json >"$scratch/json"
	jq -e '.summary.entries_copied == 0 and .summary.bytes_copied == 0' "$scratch/json"
}

# It is a branch as before: what it has changed is accepted, and nothing else.
is_accepted() {
	begin workspace
	tree "$agent" >"$scratch/branch"
	cairnfs check "$agent" --dense
	cairnfs accept "$agent"
	sound "$base"
	tree "$base" | grep -v '^keep f' >"$scratch/now"
	same <(grep -v '^keep f' "$scratch/branch") "$scratch/now"
	[ "$(cairnfs diff "$agent")" = 'No changes.' ]
}

# A change of the base after that meets the branch's.
notes_what_it_saw() {
	begin workspace
	cairnfs check "$agent" --dense
	with "$base" 'echo theirs >mode; echo theirs >docs/img/i'
	not cairnfs accept "$agent" 2>"$scratch/err"
	grep '^mode: changed in the base since' "$scratch/err"
}

is_refused() {
	begin "$1"
	cairnfs mount "$agent" "$mnt"
	not cairnfs check "$agent" --dense 2>"$scratch/err"
	[ "$(wc -l <"$scratch/err")" = 1 ]
	cairnfs umount "$mnt"
	sum=$(sqlite3 "$agent" .dump | sha256sum)
	if [ -d "$base" ]; then
		rm "$base/mode"
	else
		with "$base" 'rm mode'
	fi
	status=0
	cairnfs check "$agent" --dense 2>"$scratch/err" || status=$?
	[ "$status" = 4 ]
	[ "$(wc -l <"$scratch/err")" = 1 ]
	grep -F '/mode: gone from the base' "$scratch/err"
	[ "$(sqlite3 "$agent" .dump | sha256sum)" = "$sum" ]
}

scratch
mnt=$scratch/mnt
agent=$scratch/agent.db
base=
will_mount "$mnt"
for kind in workspace directory; do
	check "$kind: nothing of the base is needed, and the same is shown" shows_the_same "$kind"
	check "$kind: while it is mounted, and where the base has lost something, nothing is done" \
		is_refused "$kind"
done
check 'a branch that was completed is accepted' is_accepted
check 'what was seen of the base is noted' notes_what_it_saw
finish
