#!/bin/bash
# The workloads that several tasks on one workspace used to fail at: each task is a process of its
# own, every exit status is looked at and all contents are compared. TAP on stdout.
#
#	run.sh PATTERN-PROGRAM
#
# The environment names the program under test: CAIRNFS_BIN.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/tap.sh
. "$here/../../scripts/tap.sh"

pattern=$(realpath "$1")
: "${CAIRNFS_BIN:?names the program under test}"
started=()

# start COMMAND...: in the background.
start() {
	"$@" &
	started+=($!)
}

# wait_all: for everything that was started; all of it must have succeeded.
wait_all() {
	local pid failed=0

	for pid in "${started[@]}"; do
		wait "$pid" || failed=$((failed + 1))
	done
	started=()
	[ "$failed" -eq 0 ] || {
		echo "$failed processes failed"
		return 1
	}
}

# fresh NAME: a new workspace, mounted on $mnt.
fresh() {
	db="$scratch/$1.db"
	mnt="$scratch/$1"
	log="$scratch/$1.log"
	mkdir "$mnt"
	"$CAIRNFS_BIN" init "$db" >/dev/null
	"$CAIRNFS_BIN" mount "$db" "$mnt" -o "log=$log"
}

# sound DB LOG: an unmounted workspace in which nothing is wrong, and nothing about locks was said.
sound() {
	[ "$(sqlite3 "$1" 'PRAGMA integrity_check')" = ok ]
	[ -z "$(sqlite3 "$1" <"$here/../crash/invariants.sql" | tee /dev/stderr)" ]
	! grep -i 'is locked\|busy' "$2"
}

unmount() {
	"$CAIRNFS_BIN" umount "$mnt"
	sound "$db" "$log"
}

remount() {
	unmount
	"$CAIRNFS_BIN" mount "$db" "$mnt" -o "log=$log"
}

check_files() {
	local i

	for ((i = 1; i <= 100; i++)); do
		"$pattern" check "$mnt/file-$i" "$((i * $1))" $((i * 997))
	done
	[ "$(find "$mnt" -type f | wc -l)" -eq 100 ]
}

writers() {
	local i

	fresh writers
	for ((i = 1; i <= 100; i++)); do
		start "$pattern" write "$mnt/file-$i" "$i" $((i * 997)) $((1 + i * 41))
	done
	wait_all
	check_files 1
	# Now each replaces the file of another.
	for ((i = 1; i <= 100; i++)); do
		start "$pattern" save "$mnt/file-$((101 - i))" $(((101 - i) * 7)) $(((101 - i) * 997))
	done
	wait_all
	check_files 7
	remount
	check_files 7
	unmount
}

# One file, replaced again and again.
replace() {
	local generation

	for ((generation = 2; generation <= 12; generation++)); do
		"$pattern" save "$mnt/file-$1" "$generation" $((30000 + generation * $1))
	done
}

readers_and_writers() {
	local i

	fresh readers
	for ((i = 1; i <= 50; i++)); do
		"$pattern" save "$mnt/file-$i" 1 $((30000 + i))
	done
	for ((i = 1; i <= 50; i++)); do
		start "$pattern" follow "$mnt/file-$i" 60
		start replace "$i"
	done
	wait_all
	remount
	for ((i = 1; i <= 50; i++)); do
		"$pattern" check "$mnt/file-$i" 12 $((30000 + 12 * i))
	done
	unmount
}

cycles() {
	local i k

	fresh cycles
	for ((i = 1; i <= 20; i++)); do
		"$pattern" write "$mnt/file-$i" "$i" $((i * 5000)) 777
		echo "cycle $i" >>"$mnt/journal"
		remount
		for ((k = 1; k <= i; k++)); do
			"$pattern" check "$mnt/file-$k" "$k" $((k * 5000))
		done
		[ "$(wc -l <"$mnt/journal")" -eq "$i" ]
	done
	for ((i = 1; i <= 20; i++)); do
		echo "cycle $i"
	done >"$scratch/journal"
	cmp "$mnt/journal" "$scratch/journal"
	unmount
}

# One of the 16: its share of the 200 workspaces, one after the other.
many_workspaces() {
	local i

	for ((i = $1; i <= 200; i += 16)); do
		fresh "many-$i"
		"$pattern" write "$mnt/a" "$i" 40000
		mkdir "$mnt/dir"
		"$pattern" save "$mnt/dir/b" $((i + 1)) 1000
		remount
		"$pattern" check "$mnt/a" "$i" 40000
		"$pattern" check "$mnt/dir/b" $((i + 1)) 1000
		unmount
		rm "$db" "$log"
		rmdir "$mnt"
	done
}

workspaces() {
	local i

	for ((i = 1; i <= 16; i++)); do
		start many_workspaces "$i"
	done
	wait_all
	[ -z "$(find "$scratch" -name 'many-*.db')" ]
}

scratch
will_mount "$scratch"/{writers,readers,cycles} "$scratch"/many-{1..200}
check "100 concurrent writers of 100 files" writers
check "50 readers with 50 writers" readers_and_writers
check "20 cycles of open, write, close, reopen" cycles
check "200 workspaces from 16 processes at once" workspaces
finish
