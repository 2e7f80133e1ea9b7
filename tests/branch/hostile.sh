#!/bin/bash
# Workspaces whose directories form a circle, or go down without end: the commands on branches say
# so and end. TAP on stdout.
# shellcheck disable=SC2016 # what `with` gets is for its shell
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

# refuses COMMAND...: it fails by itself, with an I/O error, not by a signal.
refuses() {
	local status=0

	timeout 120 "$CAIRNFS_BIN" "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
	cat "$scratch/err"
	[ "$status" -gt 0 ]
	[ "$status" -lt 124 ]
	grep -E 'Input/output error|Structure needs cleaning' "$scratch/err"
}

# begin COMMAND: a branch that has done this to its base.
begin() {
	rm -f "$scratch"/*.db*
	cairnfs init "$base"
	with "$base" 'mkdir -p d/e/f; echo 1 >d/a; echo 2 >d/e/b; echo 3 >d/e/f/c'
	cairnfs init "$agent" --base "$base"
	with "$agent" "$1"
}

# circle DB: a directory of it is found again below itself.
circle() {
	sqlite3 "$1" "INSERT INTO fs_dentry (name, parent_ino, ino)
		SELECT 'loop', f.ino, d.ino FROM fs_dentry AS d, fs_dentry AS f
		WHERE d.name = 'd' AND f.name = 'f'"
	[ "$(sqlite3 "$1" "SELECT COUNT(*) FROM fs_dentry WHERE name = 'loop'")" = 1 ]
}

# deep DB: 50,000 directories, each in the one before.
deep() {
	sqlite3 "$1" "CREATE TEMP TABLE top AS SELECT MAX(ino) AS ino FROM fs_inode;
		WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
		INSERT INTO fs_inode (ino, mode, nlink, atime, mtime, ctime)
		SELECT top.ino + i, 16877, 2, 1, 1, 1 FROM n, top;
		INSERT INTO fs_dentry (name, parent_ino, ino) SELECT 'n', i.ino - 1, i.ino
		FROM fs_inode AS i, top WHERE i.ino > top.ino + 1;
		INSERT INTO fs_dentry (name, parent_ino, ino)
		SELECT 'n', d.ino, top.ino + 1 FROM fs_dentry AS d, top WHERE d.name = 'd'"
}

# base_below HOSTILE NAMES: what goes away with a directory that the branch has deleted; the names
# that lead on from there, over and over.
base_below() {
	begin 'rm -r d'
	"$1" "$base"
	refuses diff "$agent" --patch
	# As if the branch had seen all of it, and 5,000 deep.
	sqlite3 "$agent" "WITH RECURSIVE n (i, path, names) AS (VALUES (0, '/d', '$2')
		UNION ALL SELECT i + 1, path || '/' || substr(names, 1, instr(names, ',') - 1),
		substr(names, instr(names, ',') + 1) || substr(names, 1, instr(names, ','))
		FROM n WHERE i < 5000)
		INSERT OR REPLACE INTO cairn_seen (path, mode, uid, gid, size, mtime, mtime_nsec,
		ctime, ctime_nsec, rdev, target, digest)
		SELECT path, 16877, 0, 0, 0, 1, 0, 1, 0, 0, NULL, NULL FROM n WHERE i > 0"
	refuses accept "$agent" --force
	refuses accept "$agent" --dry-run
}

# Where the base has changed, nobody looks any further into the directory before it is removed.
base_removed() {
	begin 'rm -r d'
	with "$base" 'echo changed >d/a'
	"$1" "$base"
	refuses accept "$agent" --force
	[ "$(cairnfs undo "$base" --list)" = 'Nothing was accepted into it.' ] ||
		cairnfs undo "$base" --list
	[ "$(sqlite3 "$base" 'SELECT COUNT(*) FROM fs_dentry WHERE name IN ("a", "b", "c")')" = 3 ]
}

# What goes along with a directory that was renamed.
base_moved() {
	begin 'mv d g'
	"$1" "$base"
	refuses diff "$agent" --patch
}

# A name of a file is looked for in the whole base.
base_searched() {
	begin 'ln d/a d/e/f/again; rm d/a; echo 1 >>d/e/f/again; rm d/e/f/again'
	rm -f "$agent"*
	cairnfs init "$agent" --base "$base"
	with "$base" 'ln d/a two'
	with "$agent" 'echo more >>d/a; rm d/a'
	"$1" "$base"
	refuses diff "$agent"
}

# The branch's own directories.
branch_itself() {
	begin 'rm -r d; mkdir -p d/e/f; echo 4 >d/e/f/new'
	"$1" "$agent"
	refuses diff "$agent"
	refuses accept "$agent"
	refuses reset "$agent" d
}

# An export has no stack to run out of: deep ones are made, and only a circle is refused.
exported() {
	begin 'rm -r d; mkdir -p d/e/f'
	circle "$agent"
	refuses export "$agent" "$scratch/exported"
}

scratch
mnt=$scratch/mnt
base=$scratch/base.db
agent=$scratch/agent.db
will_mount "$mnt"
for kind in circle deep; do
	names=n,
	[ "$kind" = deep ] || names=e,f,loop,
	check "$kind: below a deleted directory" base_below "$kind" "$names"
	check "$kind: below a directory that is removed" base_removed "$kind"
	check "$kind: below a renamed directory" base_moved "$kind"
	check "$kind: where names are looked for" base_searched "$kind"
	check "$kind: in the branch" branch_itself "$kind"
done
check 'circle: an export' exported
finish
