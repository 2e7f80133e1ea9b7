#!/bin/bash
# An accept, and an undo, that is killed before each of its writes. TAP on stdout.
#
# CAIRNFS_DYING is a program that dies so.
# What `with` runs is expanded there.
# shellcheck disable=SC2016
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/tap.sh
. "$here/../../scripts/tap.sh"
# shellcheck source=tests/branch/lib.sh
. "$here/lib.sh"
: "${CAIRNFS_BIN:?names the program under test}" "${CAIRNFS_DYING:?names one that dies}"

cairnfs() {
	"$CAIRNFS_BIN" "$@"
}

# ready: a branch with changes of all kinds, kept with its base.
ready() {
	fresh
	with "$agent" 'mv docs documents; echo x >>documents/d; rm -r old deep; echo 1 >keep
		mkdir -p a/b; echo 2 >a/b/c; ln a/b/c a/d; chmod 700 src; mv s1 s3; mv s2 s1
		printf y | dd of=big bs=1 seek=2000000 conv=notrunc status=none; mv big huge
		rm file-to-dir; mkdir file-to-dir; ln -sf elsewhere link
		setfattr -n user.colour -v red mode'
	rm -rf "$scratch/kept"
	mkdir "$scratch/kept"
	cp "$base" "$agent" "$scratch/kept"
	tree "$base" >"$scratch/old"
	tree "$agent" >"$scratch/new"
}

again() {
	rm -f "$base" "$base"-* "$agent" "$agent"-*
	cp "$scratch/kept/"* "$scratch"
}

# dies N COMMAND...: succeeds where it died; fails where it came to its end.
dies() {
	local n=$1 status=0

	shift
	CAIRNFS_DIE_AT_WRITE=$n "$CAIRNFS_DYING" "$@" || status=$?
	[ "$status" = 0 ] || [ "$status" = 99 ] || exit 1
	[ "$status" = 99 ]
}

# The base is as before or as after, and the branch shows the same all the time; accepting again ends
# it, without a second record of the same.
accept_dies() {
	local n=1 old=0 new=0

	ready
	while dies "$n" accept "$agent"; do
		tree "$agent" >"$scratch/now"
		same "$scratch/new" "$scratch/now"
		tree "$base" >"$scratch/now"
		if cmp -s "$scratch/now" "$scratch/old"; then
			old=$((old + 1))
		else
			same "$scratch/new" "$scratch/now"
			new=$((new + 1))
			[ "$(cairnfs diff "$agent")" = 'No changes.' ]
		fi
		cairnfs accept "$agent"
		tree "$base" >"$scratch/now"
		same "$scratch/new" "$scratch/now"
		tree "$agent" >"$scratch/now"
		same "$scratch/new" "$scratch/now"
		sound "$base"
		sound "$agent"
		[ "$(cairnfs diff "$agent")" = 'No changes.' ]
		[ "$(sqlite3 "$base" 'SELECT COUNT(*) FROM cairn_undo')" = 1 ]
		again
		n=$((n + 1))
	done
	echo "$old times before, $new times after"
	# What a transaction writes to the log it writes together.
	[ "$old" -gt 2 ]
	[ "$new" -gt 3 ]
}

undo_dies() {
	local n=1 died=0

	ready
	cairnfs accept "$agent"
	cp "$base" "$agent" "$scratch/kept"
	while dies "$n" undo "$base"; do
		tree "$base" >"$scratch/now"
		cmp -s "$scratch/now" "$scratch/new" || same "$scratch/old" "$scratch/now"
		if [ "$(sqlite3 "$base" 'SELECT undone FROM cairn_undo WHERE id = 1')" = 0 ]; then
			cairnfs undo "$base"
		fi
		tree "$base" >"$scratch/now"
		same "$scratch/old" "$scratch/now"
		sound "$base"
		again
		n=$((n + 1))
		died=$((died + 1))
	done
	[ "$died" -gt 10 ]
}

reset_dies() {
	local n=1 died=0

	ready
	while dies "$n" reset "$agent" documents a s1; do
		tree "$agent" >"$scratch/now"
		cairnfs reset "$agent" documents a s1
		sound "$agent"
		cairnfs diff "$agent" --name-status | not grep -E '	(docs|a|s1|s3|s2)(/|	|$)'
		again
		n=$((n + 1))
		died=$((died + 1))
	done
	[ "$died" -gt 3 ]
}

scratch
mnt=$scratch/mnt
base=$scratch/base.db
agent=$scratch/agent.db
will_mount "$mnt"
check 'an accept dies before each of its writes' accept_dies
check 'an undo dies before each of its writes' undo_dies
check 'a reset dies before each of its writes' reset_dies
finish
