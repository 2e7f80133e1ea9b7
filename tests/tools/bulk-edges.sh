#!/bin/bash
# import and export: what collides, breaks off or is meant to do harm changes nothing. TAP on stdout.
#
# The environment names the program under test: CAIRNFS_BIN. GNU tar is the peer. What only root can
# make (owners, devices, trusted attributes) is in the trees where root runs it.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/tools/bulk-lib.sh
. "$here/bulk-lib.sh"
: "${CAIRNFS_BIN:?names the program under test}"

# What is there already.

# small DIR: a tree to collide with.
small() {
	gone "$scratch/small"
	mkdir -p "$scratch/small/dir"
	echo new >"$scratch/small/before"
	echo new >"$scratch/small/dir/file"
	echo new >"$scratch/small/dir/zzz"
}

# state: what the workspace holds now.
state() {
	local to

	to=$(out)
	cairnfs export "$db" "$to" >/dev/null
	describe "$to"
	gone "$to"
}

collides() {
	fresh
	small
	cairnfs import "$db" "$tree"
	state >"$scratch/state.before"
	refused 1 "'/dir/file' is in the workspace already; --overwrite" \
		cairnfs import "$db" "$scratch/small"
	state >"$scratch/state.after"
	same "$scratch/state.before" "$scratch/state.after"
	tar -C "$scratch/small" -cf "$scratch/small.tar" .
	refused 1 "'/dir/file'" cairnfs import "$db" "$scratch/small.tar"
	state >"$scratch/state.after"
	same "$scratch/state.before" "$scratch/state.after"
	cairnfs import "$db" "$scratch/small" --overwrite
	cairnfs check "$db"
	cairnfs export "$db" "$scratch/got"
	[ "$(cat "$scratch/got/before" "$scratch/got/dir/file" "$scratch/got/dir/zzz")" = $'new\nnew\nnew' ]
	# Another name of the file that was replaced is as it was.
	[ "$(cat "$scratch/got/hard too")" = text ]
	[ -f "$scratch/got/dir/large" ]
	gone "$scratch/got"
}

collides_mounted() {
	fresh
	small
	mounted -o xattr
	cairnfs import "$db" "$tree"
	refused 1 "dir/file' is there already; --overwrite" cairnfs import "$db" "$scratch/small"
	[ "$(cat "$mnt/dir/file")" = text ]
	rm -f "$mnt/before" "$mnt/dir/zzz"
	cairnfs import "$db" "$scratch/small" --overwrite
	[ "$(cat "$mnt/before" "$mnt/dir/file" "$mnt/dir/zzz")" = $'new\nnew\nnew' ]
	[ "$(cat "$mnt/hard too")" = text ]
	unmounted
}

types_clash() {
	local flags=("$@")

	fresh
	gone "$scratch/one-way"
	gone "$scratch/other-way"
	mkdir -p "$scratch/one-way/x" "$scratch/other-way"
	echo file >"$scratch/other-way/x"
	[ "${#flags[@]}" -eq 0 ] || mounted
	cairnfs import "$db" "$scratch/one-way"
	refused 1 "is a directory" cairnfs import "$db" "$scratch/other-way" --overwrite
	cairnfs import "$db" "$scratch/other-way" --to sub
	refused 1 "is no directory" cairnfs import "$db" "$scratch/one-way" --to sub --overwrite
	[ "${#flags[@]}" -eq 0 ] || unmounted
}

# A branch: what is in its base is there as well.
collides_in_base() {
	fresh
	gone "$scratch/base"
	cp -a "$tree" "$scratch/base"
	rm "$db"
	cairnfs init "$db" --base "$scratch/base" >/dev/null
	small
	refused 1 "'/dir/file' is in the workspace already" cairnfs import "$db" "$scratch/small"
	cairnfs import "$db" "$scratch/small" --overwrite
	cairnfs export "$db" - | tar -xO dir/file | grep -qx new
	[ "$(cat "$scratch/base/dir/file")" = text ]
	cairnfs check "$db"
	gone "$scratch/base"
}

# An archive that was added to has the same name twice; the later one counts.
archive_with_repeats() {
	local dir="$scratch/repeat"

	fresh
	gone "$dir"
	mkdir -p "$dir/d"
	echo first >"$dir/d/file"
	tar -C "$dir" -cf "$scratch/repeat.tar" d
	echo second >"$dir/d/file"
	tar -C "$dir" -rf "$scratch/repeat.tar" d/file
	cairnfs import "$db" "$scratch/repeat.tar"
	[ "$(cairnfs export "$db" - | tar -xO d/file)" = second ]
	fresh
	mounted
	cairnfs import "$db" "$scratch/repeat.tar"
	[ "$(cat "$mnt/d/file")" = second ]
	unmounted
}

export_collides() {
	local to

	fresh
	to=$(out)
	cairnfs import "$db" "$tree"
	mkdir -p "$to/dir"
	echo mine >"$to/dir/file"
	echo mine >"$to/mine"
	refused 1 "dir/file' is there already; --overwrite" cairnfs export "$db" "$to"
	[ "$(cat "$to/dir/file")" = mine ]
	cairnfs export "$db" "$to" --overwrite
	[ "$(cat "$to/dir/file")" = text ]
	[ "$(cat "$to/mine")" = mine ]
	gone "$to"
	echo mine >"$scratch/mine.tar"
	refused 1 "already exists" cairnfs export "$db" "$scratch/mine.tar"
	[ "$(cat "$scratch/mine.tar")" = mine ]
	cairnfs export "$db" "$scratch/mine.tar" --overwrite
	tar -tf "$scratch/mine.tar" >/dev/null
	echo mine >"$scratch/file"
	refused 1 "is no directory, and its name is none of an archive" \
		cairnfs export "$db" "$scratch/file"
}

# --clean.

clean_makes_equal() {
	local to

	fresh
	to=$(out)
	cairnfs import "$db" "$tree"
	mkdir -p "$to/dir/large/deep/er" "$to/extra/dir" "$to/dir/sub"
	echo mine >"$to/empty"
	echo mine >"$to/extra/dir/file"
	echo mine >"$to/dir/sub/mine"
	ln -s /etc "$to/dir/etc"
	cairnfs export "$db" "$to" --clean
	equal "$tree" "$to"
	[ -e /etc/passwd ]
	# Again, over what is there.
	cairnfs export "$db" "$to" --clean
	equal "$tree" "$to"
	gone "$to"
	refused 1 "--clean is for a directory" cairnfs export "$db" "$scratch/x.tar" --clean
}

clean_spares_the_workspace() {
	mkdir -p "$scratch/home/sub"
	cairnfs init "$scratch/home/sub/work.db"
	refused 1 "holds the workspace itself" \
		cairnfs export "$scratch/home/sub/work.db" "$scratch/home" --clean
	[ -e "$scratch/home/sub/work.db" ]
	rm -r "${scratch:?}/home"
}

# What is mounted below stays, and says so.
clean_stops_at_mounts() {
	local to

	fresh
	to=$(out)
	mkdir -p "$to/a/m"
	cairnfs init "$scratch/other.db" >/dev/null
	cairnfs mount "$scratch/other.db" "$to/a/m"
	echo precious >"$to/a/m/file"
	refused 1 "cannot clean" cairnfs export "$db" "$to" --clean
	[ "$(cat "$to/a/m/file")" = precious ]
	cairnfs umount "$to/a/m"
	rm -r "$to" "$scratch/other.db"
}

# Half ways.

truncated_archive() {
	fresh
	state >"$scratch/state.before"
	tar -C "$tree" -cf "$scratch/cut.tar" .
	truncate -s 2M "$scratch/cut.tar"
	refused 1 "cannot read the archive" cairnfs import "$db" "$scratch/cut.tar"
	state >"$scratch/state.after"
	same "$scratch/state.before" "$scratch/state.after"
	echo no archive at all >"$scratch/cut.tar"
	refused 1 "cannot read the archive" cairnfs import "$db" "$scratch/cut.tar"
	refused 1 "cannot read the archive" cairnfs import "$db" - <"$scratch/cut.tar"
	refused 1 "cannot read" cairnfs import "$db" "$scratch/nothing-there"
	refused 1 "there is no workspace" cairnfs import "$scratch/nothing.db" "$tree"
	cairnfs check "$db"
}

many_files() {
	local i

	mkdir "$scratch/many"
	for i in {1..40}; do
		mkdir "$scratch/many/$i"
		head -c 2M /dev/urandom | split -b 8K - "$scratch/many/$i/"
	done
}

# stopped SIGNAL: an import that is ended in the middle.
stopped() {
	local pid i middle=0 status

	for i in {1..12}; do
		fresh
		"$CAIRNFS_BIN" import "$db" "$scratch/many" >/dev/null 2>&1 &
		pid=$!
		sleep "0.0$((i % 10))$((i / 10))"
		kill "-$1" "$pid" 2>/dev/null || true
		status=0
		wait "$pid" || status=$?
		cairnfs check "$db"
		i=$(cairnfs export "$db" - | tar -t | wc -l)
		[ "$i" -eq 1 ] || [ "$i" -eq "$(find "$scratch/many" | wc -l)" ]
		if [ "$i" -eq 1 ] && [ "$status" -gt 128 ]; then
			middle=$((middle + 1))
		fi
		rm -f "$db"*
	done
	[ "$middle" -gt 0 ]
}

export_stopped() {
	local pid i

	fresh
	cairnfs import "$db" "$scratch/many"
	rm -f "$scratch"/.cairnfs-draft-*
	for i in {1..10}; do
		"$CAIRNFS_BIN" export "$db" "$scratch/stopped.tar" >/dev/null 2>&1 &
		pid=$!
		sleep "0.0$i"
		kill "-$1" "$pid" 2>/dev/null || true
		wait "$pid" || true
		[ ! -e "$scratch/stopped.tar" ] || tar -tf "$scratch/stopped.tar" >/dev/null
		rm -f "$scratch/stopped.tar"
		[ "$1" = KILL ] || [ -z "$(find "$scratch" -maxdepth 1 -name '.cairnfs-draft-*')" ]
	done
}

# A stream that gives nothing can be given up.
interrupted_stream() {
	local pid feeder status=0

	fresh
	mkfifo "$scratch/stream"
	sleep 600 >"$scratch/stream" &
	feeder=$!
	"$CAIRNFS_BIN" import "$db" - <"$scratch/stream" &
	pid=$!
	sleep 0.5
	kill -TERM "$pid"
	wait "$pid" || status=$?
	kill "$feeder"
	[ "$status" -eq 143 ]
	[ ! -e "$db-mount" ]
	rm "$scratch/stream"
	cairnfs check "$db"
}

# A hole of which libarchive wants every byte, for years.
interrupted_hole() {
	local pid status=0

	fresh
	cairnfs exec "$db" -- truncate -s 7E big
	"$CAIRNFS_BIN" export "$db" "$scratch/hole.tar" &
	pid=$!
	sleep 0.5
	kill -TERM "$pid"
	wait "$pid" || status=$?
	[ "$status" -eq 143 ]
	[ ! -e "$scratch/hole.tar" ]
}

# Others see nothing of it before it is done, and wait to write.
all_at_once() {
	local pid feeder

	fresh
	mkfifo "$scratch/stream"
	(
		tar -C "$tree" -cf "$scratch/whole.tar" .
		head -c 4M "$scratch/whole.tar"
		sleep 1.5
		tail -c +4194305 "$scratch/whole.tar"
	) >"$scratch/stream" &
	feeder=$!
	"$CAIRNFS_BIN" import "$db" - <"$scratch/stream" &
	pid=$!
	sleep 0.7
	[ "$(sqlite3 "$db" 'SELECT COUNT(*) FROM fs_dentry')" -eq 0 ]
	refused 1 "in use by process $pid" cairnfs mount "$db" "$mnt"
	wait "$pid"
	wait "$feeder"
	[ "$(sqlite3 "$db" 'SELECT COUNT(*) FROM fs_dentry')" -gt 40 ]
	rm "$scratch/stream"
}

# A file that is moved to and fro is in each export once, however long that takes: the reader of the
# archive takes its time between the one directory and the other.
one_moment() {
	local mover i

	fresh
	mounted -o commit_interval_ms=1
	mkdir "$mnt/a" "$mnt/fill" "$mnt/z"
	for i in {1..300}; do
		head -c 1K /dev/urandom >"$mnt/fill/$i"
	done
	echo here >"$mnt/a/file"
	(
		while [ ! -e "$scratch/stop" ]; do
			mv "$mnt/a/file" "$mnt/z/file"
			mv "$mnt/z/file" "$mnt/a/file"
		done
	) &
	mover=$!
	for i in {1..8}; do
		cairnfs export "$db" - | { sleep 1.2; cat; } | tar -t >"$scratch/names"
		[ "$(grep -c '/file$' "$scratch/names")" -eq 1 ]
		[ "$(grep -c '^fill/[0-9]' "$scratch/names")" -eq 300 ]
	done
	touch "$scratch/stop"
	wait "$mover"
	unmounted
}

# What is meant to do harm.

# evil_archives: into $scratch/evil.
evil_archives() (
	rm -rf "$scratch/evil"
	mkdir -p "$scratch/evil"
	cd "$scratch/evil"
	echo evil >file
	tar -cPf absolute.tar --transform "s,^file,$scratch/victim/absolute," file
	tar -cPf dots.tar --transform 's,^file,../../../../../../../../dots,' file
	tar -cPf dots-inside.tar --transform 's,^file,a/../../../b,' file
	ln -s "$scratch/victim" way
	tar -cf through.tar way
	rm way
	mkdir way
	echo evil >way/through
	tar -rf through.tar way/through
	ln -s "$scratch/victim/target" file-link
	tar -cf over.tar file-link
	rm file-link
	echo evil >file-link
	tar -rf over.tar file-link
	ln file hard
	tar -cPf hard.tar --transform "s,^file,$scratch/victim/target," file hard
)

harmless() {
	[ "$(find "$scratch/victim" -type f)" = "$scratch/victim/target" ]
	[ "$(cat "$scratch/victim/target")" = precious ]
}

# evil_imports MOUNTED
evil_imports() {
	rm -rf "$scratch/victim"
	mkdir -p "$scratch/victim"
	echo precious >"$scratch/victim/target"
	evil_archives
	fresh
	[ -z "$1" ] || mounted
	cairnfs import "$db" "$scratch/evil/absolute.tar"
	cairnfs import "$db" "$scratch/evil/dots.tar"
	cairnfs import "$db" "$scratch/evil/dots-inside.tar"
	refused 1 "nothing is written through a link" cairnfs import "$db" "$scratch/evil/through.tar"
	cairnfs import "$db" "$scratch/evil/over.tar"
	cairnfs import "$db" "$scratch/evil/hard.tar"
	[ -z "$1" ] || unmounted
	cairnfs check "$db"
	cairnfs export "$db" - | tar -tP | sort >"$scratch/names"
	grep -qx "${scratch#/}/victim/absolute" "$scratch/names"
	grep -qx dots "$scratch/names"
	grep -qx b "$scratch/names"
	absent '\.\.' "$scratch/names"
	absent '^/' "$scratch/names"
	[ "$(cairnfs export "$db" - | tar -xO file-link)" = evil ]
	harmless
}

evil_export() {
	local to

	rm -rf "$scratch/victim"
	mkdir -p "$scratch/victim"
	echo precious >"$scratch/victim/target"
	fresh
	to=$(out)
	mkdir -p "$scratch/good/way" "$to"
	echo good >"$scratch/good/way/target"
	cairnfs import "$db" "$scratch/good"
	ln -s "$scratch/victim" "$to/way"
	refused 1 "no directory" cairnfs export "$db" "$to" --overwrite
	harmless
	cairnfs export "$db" "$to" --clean
	[ ! -L "$to/way" ]
	harmless
	rm -rf "$to" "$scratch/good"
}

# Directories in a circle, and one in two places: nothing that a workspace can have.
evil_workspace() {
	fresh
	mkdir -p "$scratch/circle/a/b"
	cairnfs import "$db" "$scratch/circle"
	cp "$db" "$scratch/twice.db"
	sqlite3 "$db" "INSERT INTO fs_dentry (name, parent_ino, ino)
		SELECT 'again', ino, (SELECT ino FROM fs_dentry WHERE name = 'a')
		FROM fs_dentry WHERE name = 'b'"
	refused 1 "see 'cairnfs check'" cairnfs export "$db" "$(out)"
	sqlite3 "$scratch/twice.db" "INSERT INTO fs_dentry (name, parent_ino, ino)
		SELECT 'again', 1, ino FROM fs_dentry WHERE name = 'b'"
	refused 1 "see 'cairnfs check'" cairnfs export "$scratch/twice.db" "$scratch/twice.tar"
	[ ! -e "$scratch/twice.tar" ]
	sqlite3 "$scratch/twice.db" "DELETE FROM fs_dentry WHERE name = 'again';
		UPDATE fs_dentry SET ino = 999 WHERE name = 'b'"
	refused 1 "see 'cairnfs check'" cairnfs export "$scratch/twice.db" "$scratch/twice.tar"
}

# A directory that holds the workspace and its mount.
import_of_its_own_home() {
	mkdir -p "$scratch/home/mnt"
	cairnfs init "$scratch/home/work.db" >/dev/null
	cairnfs init "$scratch/home/work2.db" >/dev/null
	echo text >"$scratch/home/file"
	cairnfs import "$scratch/home/work.db" "$scratch/home"
	[ "$(cairnfs export "$scratch/home/work.db" - | tar -t | sort | tr '\n' ' ')" = \
		"./ file mnt/ work2.db " ]
	cairnfs mount "$scratch/home/work2.db" "$scratch/home/mnt"
	refused 1 "mnt' is the top of another file system" \
		cairnfs import "$scratch/home/work2.db" "$scratch/home"
	[ "$(find "$scratch/home/mnt" -printf '%P ')" != "" ]
	[ ! -e "$scratch/home/mnt/mnt/mnt" ]
	[ ! -e "$scratch/home/mnt/work2.db" ]
	cairnfs umount "$scratch/home/mnt"
	cairnfs check "$scratch/home/work2.db"
	rm -r "${scratch:?}/home"
}

prepare

check "a file that is there is not replaced unless told, and nothing else comes" collides
check "the same in a mount" collides_mounted
check "the same in a branch, and its base stays as it is" collides_in_base
check "files and directories do not replace each other" types_clash
check "the same in a mount" types_clash mounted
check "an archive that was added to" archive_with_repeats
check "what is exported does not replace files unless told" export_collides
check "--clean makes a directory equal" clean_makes_equal
check "--clean spares the workspace" clean_spares_the_workspace
check "--clean stops at what is mounted" clean_stops_at_mounts
check "a broken archive brings nothing" truncated_archive
many_files
check "an import that is killed brings nothing" stopped KILL
check "an import that is ended brings nothing" stopped TERM
check "an export that is killed leaves no part of an archive" export_stopped KILL
check "an export that is ended leaves nothing" export_stopped TERM
check "a stream that gives nothing can be given up" interrupted_stream
check "an export of a hole without end can be given up" interrupted_hole
check "an import is seen all at once" all_at_once
check "an export is one moment" one_moment
check "archives lead nowhere else" evil_imports ""
check "nor in a mount" evil_imports mounted
check "an export is not led elsewhere" evil_export
check "a workspace without end is not exported" evil_workspace
check "a directory that holds the workspace, and its mount" import_of_its_own_home
finish
