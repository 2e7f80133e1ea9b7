# Shared by the tests that are shell scripts: steps reported as TAP, a scratch directory, and
# mounts that go away with the script however it ends. Sourced, not run.
#
# The environment names the program under test: CAIRNFS_BIN.
# shellcheck shell=bash

tap_count=0
tap_failed=0
tap_mounts=()

# scratch: makes the directory $scratch, which is removed at exit with what is mounted below it.
scratch() {
	scratch=$(mktemp -d "${TMPDIR:-/tmp}/cairnfs-$(basename "$0").XXXXXX")
	trap 'leave $?' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

leave() {
	local dir pid

	trap - EXIT
	cd /
	for pid in $(jobs -p); do
		kill "$pid" 2>/dev/null || true
	done
	for dir in "${tap_mounts[@]}"; do
		release "$dir"
	done
	rm -rf --one-file-system "$scratch"
	exit "$1"
}

# release DIR: unmounts, by force if it must; what is not mounted is left alone.
release() {
	grep -qF " $1 " /proc/self/mounts || return 0
	timeout 60 "$CAIRNFS_BIN" umount "$1" >/dev/null 2>&1 ||
		fusermount3 -u -z "$1" 2>/dev/null || umount -l "$1" 2>/dev/null || true
}

# will_mount DIR...: these are unmounted at exit, where they still are mounted by then. To be
# called by the script itself: what a check runs, in its subshell, is not seen here.
will_mount() {
	tap_mounts+=("$@")
}

# check NAME COMMAND...: one test case. The command runs in a subshell with errexit, and what it
# says is shown if it fails. (Not as a condition: bash would ignore errexit there.)
check() {
	local name=$1 log="$scratch/check.log" status=0

	shift
	tap_count=$((tap_count + 1))
	(
		trap - EXIT INT TERM
		set -euo pipefail
		"$@"
	) >"$log" 2>&1 </dev/null &
	wait $! || status=$?
	if [ "$status" -eq 0 ]; then
		echo "ok $tap_count - $name"
	else
		tap_failed=$((tap_failed + 1))
		echo "not ok $tap_count - $name"
		echo "# status $status of: $*"
		tail -n 60 "$log" | sed 's/^/# /'
	fi
}

# finish: the plan, and the script's exit status.
finish() {
	echo "1..$tap_count"
	[ "$tap_failed" -eq 0 ]
}

# same FILE FILE: fails, showing how they differ.
same() {
	diff -u "$1" "$2" | head -n 40
	return "${PIPESTATUS[0]}"
}

# list_tree DIR: all that `find` sees of a tree, in a form to compare: path, type, mode, owner,
# size (of files), links (of files), mtime to the nanosecond, target.
list_tree() {
	(
		cd "$1"
		find . -type d -printf '%P %y %m %U %G %T@\n' \
			-o -printf '%P %y %m %U %G %n %s %T@ %l\n' | LC_ALL=C sort
	)
}
