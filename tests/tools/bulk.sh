#!/bin/bash
# import and export: trees go in and come out the same, by directory and by tar, mounted and not. TAP
# on stdout.
#
# The environment names the program under test: CAIRNFS_BIN. GNU tar is the peer. What only root can
# make (owners, devices, trusted attributes) is in the trees where root runs it.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/tools/bulk-lib.sh
. "$here/bulk-lib.sh"
: "${CAIRNFS_BIN:?names the program under test}"

# Round trips.

dir_to_dir() {
	local to

	fresh
	to=$(out)
	cairnfs import "$db" "$tree"
	cairnfs check "$db"
	cairnfs export "$db" "$to"
	equal "$tree" "$to"
	few_blocks "$to"
	gone "$to"
}

dir_to_dir_mounted() {
	local to

	fresh
	to=$(out)
	mounted -o xattr
	cairnfs import "$db" "$tree"
	equal "$tree" "$mnt"
	cairnfs export "$db" "$to"
	equal "$tree" "$to"
	few_blocks "$to"
	unmounted
	gone "$to"
}

# What the mount has in memory alone counts.
export_of_what_is_in_memory() {
	local to

	fresh
	to=$(out)
	mounted -o commit_interval_ms=600000
	echo text >"$mnt/file"
	cairnfs export "$db" "$to"
	[ "$(cat "$to/file")" = text ]
	unmounted
}

# tar_to_dir TAR-OPTION...: from GNU tar.
tar_to_dir() {
	local to

	fresh
	to=$(out)
	tar -C "$tree" --xattrs --xattrs-include='*' "$@" -cf "$scratch/peer.tar" .
	cairnfs import "$db" "$scratch/peer.tar"
	cairnfs check "$db"
	cairnfs export "$db" "$to"
	equal "$tree" "$to"
	gone "$to"
}

# The format that GNU tar writes unless asked knows neither attributes nor parts of a second.
gnu_tar_to_dir() {
	local to one

	fresh
	to=$(out)
	one=$(out)
	mkdir "$one"
	tar -C "$tree" -S --format=gnu -cf "$scratch/peer.tar" .
	tar -C "$one" -xpf "$scratch/peer.tar"
	cairnfs import "$db" "$scratch/peer.tar"
	cairnfs export "$db" "$to"
	equal "$one" "$to"
	few_blocks "$to"
	gone "$to"
	gone "$one"
}

tar_to_mount() {
	fresh
	mounted -o xattr
	tar -C "$tree" --xattrs --xattrs-include='*' -S -c . | cairnfs import "$db" -
	equal "$tree" "$mnt"
	unmounted
}

# In the names of attributes, GNU tar knows of two bytes that are written otherwise.
dir_to_tar() {
	local to

	fresh
	to=$(out)
	mkdir "$to"
	cairnfs import "$db" "$tree"
	cairnfs export "$db" - >"$scratch/ours.tar"
	tar -C "$to" --xattrs --xattrs-include='*' -xpf "$scratch/ours.tar"
	sed -n 's/^user.odd%20name/x/p' <(getfattr -d -m . "$to/dir/large") | grep -q x
	setfattr -x 'user.odd%20name=%41' "$to/dir/large"
	setfattr -n 'user.odd name=%41' -v 1 "$to/dir/large"
	equal "$tree" "$to"
	few_blocks "$to"
	gone "$to"
	rm "$scratch/ours.tar"
}

# tar_to_tar SUFFIX: ours, compressed, and back.
tar_to_tar() {
	local to

	fresh
	to=$(out)
	cairnfs import "$db" "$tree"
	cairnfs export "$db" "$scratch/ours.$1"
	fresh
	cairnfs import "$db" "$scratch/ours.$1"
	cairnfs check "$db"
	cairnfs export "$db" "$to"
	equal "$tree" "$to"
	few_blocks "$to"
	rm "$scratch/ours.$1"
	gone "$to"
}

# branch_to_dir BASE: what a branch shows of its base and of its own, mounted or not.
branch_to_dir() {
	local to want=$scratch/want

	fresh
	to=$(out)
	rm "$db"
	cairnfs init "$db" --base "$1" >/dev/null
	cairnfs export "$db" "$to"
	equal "$tree" "$to"
	gone "$to"
	cairnfs import "$db" "$tree/modes" --to dir/new
	gone "$want"
	cp -a "$tree" "$want"
	cp -a "$tree/modes" "$want/dir/new"
	touch -r "$tree/dir" "$want/dir"
	cairnfs export "$db" "$to"
	touch -r "$tree/dir" "$to/dir"
	equal "$want" "$to"
	gone "$to"
	mounted
	rm -r "$mnt/dir/new"
	cairnfs export "$db" "$to"
	touch -r "$tree/dir" "$to/dir"
	equal "$tree" "$to"
	unmounted
	gone "$to"
	gone "$want"
}

branch_of_dir() {
	branch_to_dir "$tree"
}

branch_of_workspace() {
	fresh
	cairnfs import "$db" "$tree"
	mv "$db" "$scratch/stable.db"
	branch_to_dir "$scratch/stable.db"
}

# A tree that no path leads to the end of.
deep_tree() {
	local i to

	fresh
	to=$(out)
	mkdir "$scratch/deep" "$to"
	(
		cd "$scratch/deep"
		for i in {1..400}; do
			mkdir "a-rather-long-name"
			cd "a-rather-long-name"
		done
		echo bottom >file
	)
	cairnfs import "$db" "$scratch/deep"
	cairnfs check "$db"
	cairnfs export "$db" "$to"
	[ "$(find "$to" -name file -execdir cat {} +)" = bottom ]
	[ "$(find "$to" -type d | wc -l)" -eq 401 ]
	cairnfs export "$db" "$scratch/deep.tar"
	tar -tf "$scratch/deep.tar" | tail -n 1 | grep -q '^a-rather.*/file$'
	mkdir "$to/mirror"
	cairnfs export "$db" "$to" --clean
	[ ! -e "$to/mirror" ]
	rm -rf "$scratch/deep" "$to"
}

sockets() {
	fresh
	mkdir -p "$scratch/sock"
	(cd "$scratch/sock" && perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => "s", Listen => 1)')
	cairnfs import "$db" "$scratch/sock"
	cairnfs export "$db" "$scratch/sock-out"
	[ -S "$scratch/sock-out/s" ]
	refused 1 "'/s' is a socket" cairnfs export "$db" "$scratch/sock.tar"
	tar -tf "$scratch/sock.tar" | grep -qx ./
}

# --to and --from.

parts() {
	local to

	fresh
	to=$(out)
	cairnfs import "$db" "$tree/modes" --to a/b
	cairnfs import "$db" "$tree/modes" --to /../../a//c/.
	cairnfs export "$db" "$to" --from a/b
	equal "$tree/modes" "$to"
	gone "$to"
	cairnfs export "$db" "$to" --from /a/c
	equal "$tree/modes" "$to"
	gone "$to"
	refused 1 "'/a/x' is no directory" cairnfs export "$db" "$to" --from /a/x
	refused 1 "'a/b/1777' is no directory" cairnfs export "$db" "$to" --from a/b/1777
	refused 1 "'a/b/1777' in the workspace cannot be a directory" \
		cairnfs import "$db" "$tree" --to a/b/1777
	[ ! -e "$to" ]
}

parts_mounted() {
	fresh
	mounted -o xattr
	cairnfs import "$db" "$tree/modes" --to a/b
	equal "$tree/modes" "$mnt/a/b"
	refused 1 "cannot be a directory" cairnfs import "$db" "$tree" --to a/b/1777
	unmounted
}

# Owners.

owners() {
	local to

	fresh
	to=$(out)
	cairnfs import "$db" "$tree" --no-same-owner
	[ "$(sqlite3 "$db" 'SELECT COUNT(DISTINCT uid) FROM fs_inode')" -eq 1 ]
	fresh
	cairnfs import "$db" "$tree" --same-owner
	[ "$(sqlite3 "$db" 'SELECT uid || "/" || gid FROM fs_inode WHERE uid = 4321')" = 4321/8765 ]
	cairnfs export "$db" "$to" --no-same-owner
	[ -z "$(find "$to" ! -user root)" ]
	gone "$to"
	cairnfs export "$db" "$scratch/owners.tar"
	tar --numeric-owner -tvf "$scratch/owners.tar" dangling | grep -q 4321/8765
}

# nobody COMMAND...
nobody() {
	setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

as_nobody() {
	local home="$scratch/nobody"

	mkdir "$home"
	cairnfs init "$home/work.db" >/dev/null
	mkdir "$scratch/readable"
	tar -C "$tree" --exclude=./modes/0000 -c . | tar -C "$scratch/readable" -xp
	chmod -R a+rX "$scratch/readable"
	chown -R 65534:65534 "$home"
	nobody "$CAIRNFS_BIN" import "$home/work.db" "$scratch/readable"
	[ "$(sqlite3 "$home/work.db" 'SELECT COUNT(*) FROM fs_inode WHERE uid NOT IN (0, 65534)')" -eq 0 ]
	refused 1 "that only root may make" \
		nobody "$CAIRNFS_BIN" export "$home/work.db" "$home/out"
	[ "$(cat "$home/out/dir/file")" = text ]
	[ -z "$(find "$home/out" ! -user 65534)" ]
	chmod 0700 "$tree/dir/sub"
	refused 1 "cannot read" nobody "$CAIRNFS_BIN" import "$home/work.db" "$tree/dir" --to x
	chmod 2750 "$tree/dir/sub"
	touch -d '2001-02-03 04:05:06.123456789' "$tree/dir/sub"
	cairnfs export "$home/work.db" - | tar -t >"$scratch/names"
	absent '^x' "$scratch/names"
	gone "$scratch/readable"
	gone "$home"
}

# What is printed.

json_and_text() {
	fresh
	mkdir -p "$scratch/j"
	echo 12345 >"$scratch/j/f"
	cairnfs import "$db" "$scratch/j" --json >"$scratch/json" 2>"$scratch/err"
	[ ! -s "$scratch/err" ]
	grep -q '"entries": 2' "$scratch/json"
	grep -q '"bytes": 6' "$scratch/json"
	grep -q '"mounted": null' "$scratch/json"
	cairnfs export "$db" "$scratch/j.tar" --json | grep -q '"left_out": 0'
	cairnfs export "$db" "$scratch/j2" | grep -qx "exported 2 entries, 6 bytes, to $scratch/j2"
	cairnfs export "$db" - 2>"$scratch/err" >/dev/null
	[ ! -s "$scratch/err" ]
	refused 2 "too few arguments" cairnfs import "$db"
	refused 2 "unrecognized option" cairnfs import "$db" "$scratch/j" --frob
}

# On a terminal, a line of progress that goes away; elsewhere, nothing.
progress() {
	local slow="{ head -c 700; sleep 2; cat; } <'$scratch/j.tar' | '$CAIRNFS_BIN' import"

	fresh
	tar -C "$scratch/j" -cf "$scratch/j.tar" .
	script -qec "$slow '$db' -" "$scratch/typescript" >/dev/null </dev/null
	grep -q 'importing [0-9]* entries' "$scratch/typescript"
	grep -q $'\r\033\\[K' "$scratch/typescript"
	fresh
	bash -c "$slow '$db' -" >/dev/null 2>"$scratch/err"
	[ ! -s "$scratch/err" ]
	script -qec "'$CAIRNFS_BIN' export '$db' -" "$scratch/typescript" >/dev/null </dev/null || true
	grep -q 'nothing for a terminal' "$scratch/typescript"
}

prepare

check "a directory goes in and comes out the same" dir_to_dir
check "the same through a mount" dir_to_dir_mounted
check "what a mount has in memory is exported" export_of_what_is_in_memory
check "from GNU tar" tar_to_dir
check "from GNU tar, sparse, in its own format" gnu_tar_to_dir
check "from GNU tar, sparse, in the pax format" tar_to_dir -S --format=posix
check "from GNU tar, compressed" tar_to_dir -z
check "from GNU tar by a pipe into a mount" tar_to_mount
check "to GNU tar" dir_to_tar
for suffix in tar tar.gz tgz tar.bz2 tar.xz tar.zst; do
	check "by way of a .$suffix" tar_to_tar "$suffix"
done
check "a branch of a directory" branch_of_dir
check "a branch of a workspace" branch_of_workspace
check "a tree deeper than a path can be" deep_tree
check "sockets are left out of archives" sockets
check "--to and --from" parts
check "--to in a mount" parts_mounted
if is_root; then
	check "owners are kept or not" owners
	check "what others than root may do" as_nobody
fi
check "JSON and text" json_and_text
check "progress on a terminal alone" progress
finish
