#!/bin/bash
# Crashes of the daemon and of the machine, TAP on stdout.
#
#	run.sh KILL-PROGRAM POWER-PROGRAM [--kills N] [--cuts N] [--seed S]
#
# --kills	how often the daemon is killed, over all variants (default 48)
# --cuts	how many power cuts (default 300)
# --seed	of the random numbers (default: a new one, which is printed)
#
# The environment names the program under test: CAIRNFS_BIN.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/tap.sh
. "$here/../../scripts/tap.sh"

kill_program=$(realpath "$1")
power_program=$(realpath "$2")
shift 2
kills=48
cuts=300
seed=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
while [ $# -gt 0 ]; do
	case $1 in
	--kills) kills=$2 ;;
	--cuts) cuts=$2 ;;
	--seed) seed=$2 ;;
	*)
		echo "Bail out! unknown option: $1"
		exit 2
		;;
	esac
	shift 2
done
: "${CAIRNFS_BIN:?names the program under test}"

# no_lock_errors FILE: no caller of ours may meet a lock.
no_lock_errors() {
	! grep -i 'database is locked\|SQLITE_BUSY\|table is locked' "$1"
}

# run_kills NAME KILLS CHUNK-SIZE OPTION...
run_kills() {
	local dir="$scratch/$1" count=$2 chunk=$3 status=0

	shift 3
	mkdir -p "$dir/mount"
	"$CAIRNFS_BIN" init "$dir/workspace.db" --chunk-size "$chunk" >/dev/null
	"$kill_program" --dir "$dir" --invariants "$here/invariants.sql" --kills "$count" \
		--seed "$seed" "$@" >"$dir/out" 2>&1 || status=$?
	cat "$dir/out"
	[ "$status" -eq 0 ] || tail -n 20 "$dir/log"
	tail -n 1 "$dir/out" >"$scratch/counts"
	no_lock_errors "$dir/log"
	return "$status"
}

run_power() {
	local dir="$scratch/power" status=0

	mkdir "$dir"
	"$power_program" --dir "$dir" --invariants "$here/invariants.sql" --cuts "$cuts" \
		--seed "$seed" >"$dir/out" 2>&1 || status=$?
	cat "$dir/out"
	tail -n 1 "$dir/out" >"$scratch/counts"
	no_lock_errors "$dir/out"
	return "$status"
}

# counted NAME COMMAND...: a check that leaves counts for people to read.
counted() {
	: >"$scratch/counts"
	check "$@"
	sed 's/^/# /' "$scratch/counts"
}

scratch
will_mount "$scratch"/{one,many,commit,full,branch}/mount
echo "# to repeat: --seed $seed"
# A quarter for one caller, whose every operation is checked; the rest for the variants.
counted "kill -9 under one caller" run_kills one $((kills / 4 + kills % 4)) 4096
counted "kill -9 under four callers" run_kills many $((kills / 4)) 65536 --callers 4
counted "kill -9 with durability=commit" run_kills commit $((kills / 8)) 65536 --callers 3 \
	--durability commit
counted "kill -9 with durability=full" run_kills full $((kills / 4 - kills / 8)) 4096 \
	--callers 2 --durability full
counted "kill -9 of branches, bases of one another" run_kills branch $((kills / 4)) 4096 \
	--callers 2 --branches 3
counted "power cuts" run_power
finish
