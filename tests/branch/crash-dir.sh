#!/bin/bash
# An accept into a directory, and an undo of it, that is killed before each of its system calls that
# change something. TAP on stdout.
#
# CAIRNFS_DYING is a program that dies so. The argument says what: accept or undo.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/tap.sh
. "$here/../../scripts/tap.sh"
# shellcheck source=tests/branch/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/branch/dir.sh
. "$here/dir.sh"
: "${CAIRNFS_BIN:?names the program under test}" "${CAIRNFS_DYING:?names one that dies}"

cairnfs() {
	"$CAIRNFS_BIN" "$@"
}

ready() {
	fresh_dir
	all_of "$base" >"$scratch/old"
	mounted "$agent" change_more "$mnt"
	cp "$agent" "$scratch/kept"
	in_mount "$agent" >"$scratch/new"
}

again() {
	rm -f "$agent" "$agent"-*
	cp "$scratch/kept" "$agent"
}

# dies N COMMAND...: succeeds where it died; fails where it came to its end.
dies() {
	local n=$1 status=0

	shift
	CAIRNFS_DIE_AT_CALL=$n "$CAIRNFS_DYING" "$@" >/dev/null || status=$?
	[ "$status" = 0 ] || [ "$status" = 99 ] || exit 1
	[ "$status" = 99 ]
}

records() {
	cairnfs undo "$base" --list --json | jq '[.[] | select(.undone | not)] | length'
}

# What is left is ended by whoever comes next, also where that dies in turn.
recover() {
	! dies $(($1 % 11 + 1)) undo "$base" --list || ! dies $(($1 % 5 + 1)) undo "$base" --list ||
		true
	cairnfs undo "$base" --list >/dev/null
	[ ! -e "$base/.cairnfs/journal" ]
	[ ! -e "$base/.cairnfs/journal.back" ]
	all_of "$base" >"$scratch/now"
}

accept_dies() {
	local n=1 old=0 new=0

	ready
	while dies "$n" accept "$agent"; do
		recover "$n"
		if cmp -s "$scratch/now" "$scratch/old"; then
			old=$((old + 1))
		else
			same "$scratch/new" "$scratch/now"
			new=$((new + 1))
			[ "$(records)" = 1 ]
		fi
		cairnfs accept "$agent" >/dev/null
		all_of "$base" >"$scratch/now"
		same "$scratch/new" "$scratch/now"
		[ "$(cairnfs diff "$agent")" = 'No changes.' ]
		sound "$agent"
		[ "$(records)" = 1 ]
		cairnfs undo "$base" >/dev/null
		all_of "$base" >"$scratch/now"
		same "$scratch/old" "$scratch/now"
		cairnfs gc "$base" --older-than=0
		[ -z "$(ls -A "$base/.cairnfs/kept")" ]
		again
		n=$((n + 1))
	done
	echo "$old times before, $new times after"
	[ "$old" -gt 60 ]
	[ "$new" -gt 60 ]
}

undo_dies() {
	local n=1 old=0 new=0

	ready
	cairnfs accept "$agent"
	while dies "$n" undo "$base"; do
		recover "$n"
		if cmp -s "$scratch/now" "$scratch/old"; then
			old=$((old + 1))
			[ "$(cairnfs undo "$base" --list --json | jq '.[-1].undone')" = true ]
		else
			same "$scratch/new" "$scratch/now"
			new=$((new + 1))
			cairnfs undo "$base" >/dev/null
			all_of "$base" >"$scratch/now"
			same "$scratch/old" "$scratch/now"
		fi
		cairnfs gc "$base" --older-than=0
		[ -z "$(ls -A "$base/.cairnfs/kept")" ]
		again
		cairnfs accept "$agent" >/dev/null
		all_of "$base" >"$scratch/now"
		same "$scratch/new" "$scratch/now"
		n=$((n + 1))
	done
	echo "$old times before, $new times after"
	[ "$old" -gt 30 ]
	[ "$new" -gt 3 ]
}

# What was cut short is ended before a branch over the directory shows anything of it.
mount_recovers() {
	local n=1 new=0

	ready
	while dies "$n" accept "$agent"; do
		if [ -e "$base/.cairnfs/journal" ]; then
			new=$((new + 1))
			"$CAIRNFS_BIN" init "$scratch/other.db" --base "$base" >/dev/null
			in_mount "$scratch/other.db" >"$scratch/now"
			same "$scratch/new" "$scratch/now"
			[ "$new" -lt 5 ] || break
			rm -f "$scratch"/other.db*
			cairnfs undo "$base"
			again
		fi
		n=$((n + 1 + n / 9))
	done
	[ "$new" -gt 0 ]
}

scratch
mnt=$scratch/mnt
base=$scratch/base
agent=$scratch/agent.db
will_mount "$mnt"
case $1 in
accept)
	check 'an accept dies before each of its calls' accept_dies
	check 'a mount ends what was cut short' mount_recovers
	;;
undo)
	check 'an undo dies before each of its calls' undo_dies
	;;
*)
	exit 2
	;;
esac
finish
