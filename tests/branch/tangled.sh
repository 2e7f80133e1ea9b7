#!/bin/bash
# Names that stand for something else by now: directories moved with others in their place, files of
# several names of which some are gone. What diff tells, the patch, accept and reset. TAP on stdout.
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

# begin KIND CHANGES: a branch and a plain copy that are changed alike.
begin() {
	rm -rf "$scratch"/*.db* "$scratch"/base-* "$scratch/plain" "$scratch/before"
	make_base "$1"
	cairnfs init "$agent" --base "$base"
	copy_of "$base" "$scratch/before"
	copy_of "$base" "$scratch/plain"
	with "$agent" "$2"
	(cd "$scratch/plain" && eval "$2")
	content "$scratch/plain" >"$scratch/want"
}

# told: the branch's changes are those on standard input, and nothing else.
told() {
	cairnfs diff "$agent" --name-status >"$scratch/status"
	cat >"$scratch/expected"
	same "$scratch/expected" "$scratch/status"
}

# applies: the patch makes of the base what the branch is.
applies() {
	cairnfs diff "$agent" --patch >"$scratch/patch"
	rm -rf "$scratch/patched"
	cp -a "$scratch/before" "$scratch/patched"
	cd "$scratch/patched"
	git init -q .
	git apply "$scratch/patch"
	rm -r .git
	content . >"$scratch/now"
	same "$scratch/want" "$scratch/now"
}

# timeless DIR: the two were changed at different times.
timeless() {
	(
		cd "$1"
		find . -type d -printf '%P %y %m %U %G\n' -o -printf '%P %y %m %U %G %n %s %l\n' |
			LC_ALL=C sort
	)
}

# accepts: the base becomes what the branch is, as far as a patch could tell; and back.
accepts() {
	[ -f "$base" ] || return 0
	tree "$base" >"$scratch/old"
	cairnfs accept "$agent"
	sound "$base"
	sound "$agent"
	rm -rf "$scratch/accepted"
	copy_of "$base" "$scratch/accepted"
	content "$scratch/accepted" >"$scratch/now"
	same "$scratch/want" "$scratch/now"
	timeless "$scratch/plain" >"$scratch/want.tree"
	timeless "$scratch/accepted" >"$scratch/now.tree"
	same "$scratch/want.tree" "$scratch/now.tree"
	[ "$(cairnfs diff "$agent")" = 'No changes.' ]
	cairnfs undo "$base"
	tree "$base" >"$scratch/now"
	same "$scratch/old" "$scratch/now"
}

another_in_its_place() {
	begin "$1" 'mv deep/a/b up; rm deep/a/gone; mkdir -p deep/a/b/c; echo new >deep/a/b/c/f
		echo f >deep/a/b/f; mv docs d; mkdir docs; mv d/img docs; mv old o; echo s >old'
	told <<-'END'
		R	docs	d
		A	deep/a/b
		A	deep/a/b/c
		A	deep/a/b/c/f
		A	deep/a/b/f
		D	deep/a/gone
		A	docs
		R	docs/img	docs/img
		R	old	o
		A	old
		R	deep/a/b	up
	END
	applies
	accepts
}

part_of_it() {
	begin workspace 'mv docs d; mkdir docs; echo new >docs/new'
	not cairnfs accept "$agent" docs/new 2>"$scratch/err"
	grep -F 'parts of one change' "$scratch/err"
	cairnfs reset "$agent" docs/new
	told <<-'END'
		R	docs	d
		A	docs
	END
	cairnfs accept "$agent"
	with "$base" '[ "$(cat d/d)" = doc ]; [ -z "$(ls -A docs)" ]'
}

# In the place of files, and files in their place; what was there is deleted, or went elsewhere.
over_files() {
	begin "$1" 'rm s1; mv docs s1; mv keep docs; mv s2 kept; mv old s2; rm mode; ln -s x mode
		rm link; cp src/a.c link; mv src/a.c src/nonl; mv src/bin src/a.c'
	applies
	accepts
}

# hard1 and hard2 are one file in the base.
name_that_went() {
	begin "$1" "$2"
	cairnfs diff "$agent" --name-status | tee "$scratch/status"
	grep -Fx $'M\thard1' "$scratch/status"
	applies
	accepts
	begin "$1" "$2"
	cairnfs reset "$agent" hard1
	sound "$agent"
	[ "$(cairnfs diff "$agent" --name-status)" = "$(grep -vF hard1 "$scratch/status")" ]
	with "$agent" '[ "$(cat hard1)" = h ]; [ "$(cat hard2 || true)" != h ]'
}

# Where a name of it went and nothing else has changed, there is nothing to tell of the other.
name_that_went_alone() {
	begin "$1" 'rm hard2'
	told <<-'END'
		D	hard2
	END
	applies
	accepts
}

# In a directory that was renamed, and by two names that are left.
names_elsewhere() {
	begin workspace 'true'
	with "$base" 'ln hard1 docs/img/h3; ln hard1 src/h4'
	rm -rf "$scratch/plain"
	copy_of "$base" "$scratch/plain"
	changes='cat docs/img/h3; mv docs papers; rm hard1 hard2; echo more >>papers/img/h3; chmod 755 src/h4'
	with "$agent" "$changes"
	(cd "$scratch/plain" && eval "$changes")
	content "$scratch/plain" >"$scratch/want"
	told <<-'END'
		D	hard1
		D	hard2
		R	docs	papers
		M	papers/img/h3
		M	src/h4
	END
	accepts
}

# The base has lost the name that the branch noted it by.
name_that_the_base_lost() {
	begin workspace 'rm hard2; echo x >>hard1'
	with "$base" 'rm hard2'
	told <<-'END'
		M	hard1
	END
	cairnfs accept "$agent" --force
	with "$base" '[ "$(cat hard1)" = "$(printf "h\nx")" ]'
}

# A directory that lies in itself is damage, and no way to go.
base_that_leads_round() {
	begin workspace 'rm hard2; echo x >>hard1; mv src s'
	sqlite3 "$base" "INSERT INTO fs_dentry (name, parent_ino, ino)
		SELECT 'round', ino, parent_ino FROM fs_dentry WHERE name = 'lib'
		UNION ALL SELECT 'again', ino, parent_ino FROM fs_dentry WHERE name = 'lib'"
	not timeout 60 "$CAIRNFS_BIN" diff "$agent" 2>"$scratch/err"
	grep -F 'Input/output error' "$scratch/err"
	not timeout 60 "$CAIRNFS_BIN" check "$agent" --dense 2>"$scratch/err"
	grep -F 'Input/output error' "$scratch/err"
	with "$agent" 'rm hard1'
	not timeout 60 "$CAIRNFS_BIN" diff "$agent" --patch 2>"$scratch/err"
	grep -F 'Input/output error' "$scratch/err"
}

# Whichever of the names is met first.
names_in_any_order() {
	begin "$1" 'ln keep aaa; ln keep zzz; echo k >keep; chmod 755 keep; ln mode s1.new
		mv s1.new s1; ln -f hard1 file-to-dir'
	told <<-'END'
		A	aaa
		M	file-to-dir
		M	keep
		M	s1
		A	zzz
	END
	applies
	accepts
}

scratch
mnt=$scratch/mnt
agent=$scratch/agent.db
base=
will_mount "$mnt"
for kind in workspace directory; do
	check "$kind: directories in the place of moved ones" another_in_its_place "$kind"
	check "$kind: directories and files in each other's place" over_files "$kind"
	check "$kind: a file of which a name was removed" \
		name_that_went "$kind" 'cat hard1; rm hard2; echo x >>hard1'
	check "$kind: a file of which a name was replaced" \
		name_that_went "$kind" 'echo new >n; mv n hard2; echo x >>hard1; chmod 755 hard1'
	check "$kind: a name that was removed, and no more" name_that_went_alone "$kind"
	check "$kind: names of one file, in any order" names_in_any_order "$kind"
done
check 'what was made in its place is not accepted without the move' part_of_it
check 'a file of which names are left elsewhere' names_elsewhere
check 'a damaged base that leads round and round' base_that_leads_round
check 'a file that the base has under its other name alone' name_that_the_base_lost
finish
