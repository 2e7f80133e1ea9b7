#!/bin/bash
# A branch that is in use while its changes are accepted: whoever works in its mount notices nothing.
# TAP on stdout.
# shellcheck disable=SC2016
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/tap.sh
. "$here/../../scripts/tap.sh"
# shellcheck source=tests/branch/lib.sh
. "$here/lib.sh"
: "${CAIRNFS_BIN:?names the program under test}" "${CAIRNFS_WATCHER:?names the watcher}"

cairnfs() {
	"$CAIRNFS_BIN" "$@"
}

# begin KIND: the branch is mounted, and the base too where it is a workspace. $stable is where one
# sees what the base holds.
begin() {
	umount -l "$work" "$mnt" 2>/dev/null || true
	rm -rf --one-file-system "$scratch"/*.db* "$scratch/base-directory"
	make_base "$1"
	cairnfs init "$agent" --base "$base"
	stable=$base
	if [ "$1" = workspace ]; then
		cairnfs mount "$base" "$mnt"
		stable=$mnt
	fi
	cairnfs mount "$agent" "$work"
}

end() {
	cairnfs umount "$work"
	sound "$agent"
	if [ "$stable" = "$mnt" ]; then
		cairnfs umount "$mnt"
		sound "$base"
	fi
}

# watched FILE=CONTENT... -- COMMAND...: runs it while the watcher looks at these files of the branch.
watched() {
	local files=() status=0 watcher

	while [ "$1" != -- ]; do
		files+=("$work/$1")
		shift
	done
	shift
	rm -f "$scratch/ready"
	"$CAIRNFS_WATCHER" "$scratch/ready" "${files[@]}" &
	watcher=$!
	until [ -e "$scratch/ready" ] || ! kill -0 "$watcher" 2>/dev/null; do
		sleep 0.01
	done
	"$@" || status=$?
	kill "$watcher" 2>/dev/null || true
	wait "$watcher" && [ "$status" = 0 ]
}

# Accepts what has been done in round $1, and goes on until the mounts must have noticed.
accept_round() {
	cairnfs accept "$agent"
	for _ in $(seq 100); do
		[ -e "$stable/new-$1" ] && break
		sleep 0.05
	done
	[ "$(cat "$stable/new-$1")" = "new $1" ]
	sleep 0.6
}

rounds() {
	local i

	begin "$1"
	mkdir "$work/moved-0"
	for i in 1 2 3 4 5; do
		(
			cd "$work"
			printf '%s' "new $i" >"new-$i"
			printf '%s' "kept $i" >keep
			mkdir "dir-$i"
			printf '%s' "in $i" >"dir-$i/f"
			mv "moved-$((i - 1))" "moved-$i"
			printf '%s' "moved $i" >"moved-$i/g"
			mv s1 swap
			mv s2 s1
			mv swap s2
			printf '%s' "one $i" >s1
			printf '%s' "two $i" >s2
			chmod "60$i" mode
			rm -f hard1
			printf '%s' "hard $i" >hard1
		)
		watched "new-$i=new $i" "keep=kept $i" "dir-$i/f=in $i" "moved-$i/g=moved $i" \
			"s1=one $i" "s2=two $i" "hard1=hard $i" "docs/d=doc"$'\n' "mode=mode"$'\n' \
			-- accept_round "$i"
	done
	end
}

# Nothing of these was written in the branch: what they show comes from wherever the base has them.
renames() {
	begin "$1"
	(
		cd "$work"
		mv docs documents
		mv src/lib source-lib
		mv documents/img pictures
		mv s1 swap
		mv s2 s1
		mv swap s2
		mv deep/a/b/f shallow
		printf '%s' 'new 1' >new-1
	)
	watched documents/d=doc$'\n' pictures/i=img$'\n' s1=swap2$'\n' s2=swap1$'\n' \
		shallow=deep$'\n' 'new-1=new 1' -- accept_round 1
	end
}

# What is open goes on to be the same file, for writing too, and directories to be where one works.
in_use() {
	local i

	begin "$1"
	cd "$work"
	mkdir place
	exec 3<>new 4>>log 5<>keep
	echo first >&3
	echo line >&4
	echo changed >&5
	cd place
	cairnfs accept "$agent"
	for i in $(seq 12); do
		echo more >&4
		echo x >"here-$i"
		sleep 0.05
	done
	echo second >&3
	echo again >&5
	[ "$(pwd -P)" = "$work/place" ]
	sync .
	cd "$scratch"
	exec 3>&- 4>&- 5>&-
	[ "$(cat "$work/new")" = "$(printf 'first\nsecond')" ]
	[ "$(cat "$work/keep")" = "$(printf 'changed\nagain')" ]
	[ "$(wc -l <"$work/log")" = 13 ]
	[ "$(find "$work/place" -type f | wc -l)" = 12 ]
	cairnfs accept "$agent"
	cairnfs umount "$work"
	cairnfs mount "$agent" "$work"
	[ "$(wc -l <"$work/log")" = 13 ]
	for _ in $(seq 100); do
		[ -e "$stable/place/here-12" ] && break
		sleep 0.05
	done
	[ "$(cat "$stable/new" "$stable/keep")" = "$(printf 'first\nsecond\nchanged\nagain')" ]
	end
}

scratch
mnt=$scratch/mnt
work=$scratch/work
agent=$scratch/agent.db
mkdir -p "$work"
will_mount "$mnt" "$work"
check 'files are there all the time, and the same' rounds workspace
check 'what was renamed, too' renames workspace
for kind in workspace directory; do
	check "$kind: open files and working directories go on" in_use "$kind"
done
finish
