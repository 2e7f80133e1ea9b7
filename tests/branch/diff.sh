#!/bin/bash
# cairnfs diff: the changes of a branch, over a workspace and over a directory. TAP on stdout.
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

begin() {
	make_base "$1"
	copy_of "$base" "$scratch/before-$1"
	cairnfs init "$scratch/agent-$1.db" --base "$base"
	[ "$(cairnfs diff "$scratch/agent-$1.db")" = 'No changes.' ]
	mounted "$scratch/agent-$1.db" change "$mnt"
	copy_of "$scratch/agent-$1.db" "$scratch/after-$1"
	mkdir "$scratch/plain-$1"
	cp -a "$scratch/before-$1/." "$scratch/plain-$1"
	change "$scratch/plain-$1"
	content "$scratch/after-$1" >"$scratch/after"
	content "$scratch/plain-$1" >"$scratch/plain"
	same "$scratch/plain" "$scratch/after"
}

# expect BRANCH: as on standard input.
expect() {
	cairnfs diff "$1" --name-status >"$scratch/status"
	cat >"$scratch/expected"
	same "$scratch/expected" "$scratch/status"
}

lists() {
	expect "$scratch/agent-$1.db" <<-'END'
		R	a name	another name
		M	big
		D	deep
		T	dir-to-file
		R	docs	documents
		R	docs/d	documents/e
		M	documents/medium
		A	empty/not
		T	file-to-dir
		A	file-to-dir/x
		M	link
		M	mode
		A	n1
		A	n2
		A	new-link
		D	old
		R	s2	s1
		R	s1	s2
		M	src/a.c
		M	src/bin
		A	src/lib/new.c
		M	src/long
		M	src/nonl
		A	tree
		A	tree/empty-file
		A	tree/of
		A	tree/of/dirs
		A	tree/of/dirs/leaf
		R	deep/a/b	up
		M	ä
	END
}

takes_paths() {
	[ "$(cairnfs diff "$scratch/agent-$1.db" --name-status src/a.c)" = $'M\tsrc/a.c' ]
	[ "$(cairnfs diff "$scratch/agent-$1.db" --name-status /tree/of/ s1 | wc -l)" = 5 ]
	[ "$(cairnfs diff "$scratch/agent-$1.db" --name-status src/a)" = '' ]
	not cairnfs diff "$scratch/agent-$1.db" ../x 2>"$scratch/err"
	[ "$(wc -l <"$scratch/err")" = 1 ]
}

json() {
	cairnfs diff "$scratch/agent-$1.db" --json >"$scratch/json"
	jq -e 'length == 30' "$scratch/json"
	jq -e '.[] | select(.path == "/mode") | .what == ["mode"] and .mode == 493' "$scratch/json"
	jq -e '.[] | select(.path == "/documents") | .from == "/docs" and .type == "directory"' \
		"$scratch/json"
	jq -e '.[] | select(.path == "/dir-to-file") | .was == "directory"' "$scratch/json"
}

git_applies() {
	cairnfs diff "$scratch/agent-$1.db" --patch >"$scratch/patch"
	mkdir "$scratch/git-$1"
	cp -a "$scratch/before-$1/." "$scratch/git-$1"
	cd "$scratch/git-$1"
	git init -q .
	git apply "$scratch/patch"
	rm -r .git
	content . >"$scratch/patched"
	same "$scratch/after" "$scratch/patched"
}

# patch(1) takes no binary patches, and puts neither a directory in the place of a file nor the
# reverse.
patch_applies() {
	back() {
		cp "$scratch/before-$1/src/bin" "$mnt/src/bin"
		rm -r "$mnt/dir-to-file" "$mnt/file-to-dir"
		cp -r "$scratch/before-$1/dir-to-file" "$scratch/before-$1/file-to-dir" "$mnt"
	}
	mounted "$scratch/agent-$1.db" back "$1"
	cairnfs diff "$scratch/agent-$1.db" --patch >"$scratch/patch"
	copy_of "$scratch/agent-$1.db" "$scratch/without-$1"
	content "$scratch/without-$1" >"$scratch/after"
	mkdir "$scratch/gnu-$1"
	cp -a "$scratch/before-$1/." "$scratch/gnu-$1"
	cd "$scratch/gnu-$1"
	patch -p1 <"$scratch/patch"
	content . >"$scratch/patched"
	same "$scratch/after" "$scratch/patched"
}

equal_is_no_change() {
	mounted "$scratch/agent-$1.db" cp "$scratch/before-$1/big" "$mnt/big"
	mounted "$scratch/agent-$1.db" chmod 644 "$mnt/mode"
	cairnfs diff "$scratch/agent-$1.db" --name-status >"$scratch/status"
	not grep -E '	(big|mode|src/bin)$' "$scratch/status"
}

counts() {
	cairnfs diff "$scratch/agent-$1.db" --stat src/a.c >"$scratch/stat"
	grep -F ' src/a.c | 2 +-' "$scratch/stat"
	grep -F ' 1 files, 1 lines added, 1 removed' "$scratch/stat"
}

attributes() {
	other() {
		setfattr -n user.colour -v red "$mnt/hard1"
		chmod 640 "$mnt/keep"
		! [ "$(id -u)" = 0 ] || chown 12001 "$mnt/keep"
	}
	mounted "$scratch/agent-$1.db" other
	cairnfs diff "$scratch/agent-$1.db" hard1 keep >"$scratch/person"
	grep -F 'hard1 (xattr)' "$scratch/person"
	grep -E 'keep \(mode(, owner)?\)' "$scratch/person"
}

# Whatever is in a name, a change is a line, and what is printed does nothing to a terminal.
odd_names() {
	local agent=$scratch/odd-$1.db

	odd() {
		(
			cd "$mnt"
			echo 1 >-dash
			echo 2 >$'new\nline'
			echo 3 >$'esc\e[31m'
			echo 4 >'back\slash'
			echo 5 >'"quote'
			echo 6 >$'latin\xe9'
			mv 'a name' $'a\tname'
			rm $'\xc3\xa4'
		)
	}
	cairnfs init "$agent" --base "$base"
	mounted "$agent" odd
	cat >"$scratch/expected" <<-'END'
		A	"\"quote"
		A	-dash
		R	a name	"a\tname"
		A	"back\\slash"
		A	"esc\033[31m"
		A	latin?
		A	"new\nline"
		D	ä
	END
	cairnfs diff "$agent" --name-status | sed $'s/\xe9/?/' >"$scratch/status"
	same "$scratch/expected" "$scratch/status"
	cairnfs diff "$agent" --stat >"$scratch/stat"
	cairnfs diff "$agent" >"$scratch/person"
	[ "$(wc -l <"$scratch/stat")" = 9 ]
	[ "$(wc -l <"$scratch/person")" = 8 ]
	not grep -F $'\e' "$scratch/stat" "$scratch/person"
	[ "$(cairnfs diff "$agent" --name-status -- -dash)" = $'A\t-dash' ]
	cairnfs diff "$agent" --json | jq -e 'map(.path) | contains(["/new\nline", "/-dash"])'
	cairnfs diff "$agent" --patch >"$scratch/patch"
	cp -a "$scratch/before-$1" "$scratch/odd-$1"
	cd "$scratch/odd-$1"
	git init -q .
	git apply "$scratch/patch"
	rm -r .git
	content . >"$scratch/patched"
	mounted "$agent" content "$mnt" >"$scratch/after"
	same "$scratch/after" "$scratch/patched"
	not cairnfs diff $'no\nsuch\e.db' 2>"$scratch/err"
	[ "$(wc -l <"$scratch/err")" = 1 ]
	not grep -F $'\e' "$scratch/err"
}

# On a terminal, where it takes a while, a line of progress that goes away; elsewhere, nothing.
progress() {
	local agent=$scratch/slow-$1.db slow

	slow="'$CAIRNFS_BIN' diff '$agent' --patch | { sleep 2; cat >/dev/null; }"
	more_than_a_pipe_holds() {
		seq 100000 >"$mnt/new-1"
		seq 100000 >"$mnt/new-2"
	}
	cairnfs init "$agent" --base "$base"
	mounted "$agent" more_than_a_pipe_holds
	script -qec "$slow" "$scratch/typescript" >/dev/null </dev/null
	grep -q 'comparing: ' "$scratch/typescript"
	grep -q $'\r\033\\[K' "$scratch/typescript"
	bash -c "$slow" 2>"$scratch/err"
	[ ! -s "$scratch/err" ]
}

refuses_what_is_no_branch() {
	cairnfs init "$scratch/plain.db"
	not cairnfs diff "$scratch/plain.db" 2>"$scratch/err"
	grep -F 'is no branch' "$scratch/err"
	[ "$(wc -l <"$scratch/err")" = 1 ]
}

scratch
mnt=$scratch/mnt
will_mount "$mnt"
for kind in workspace directory; do
	# Its variables are wanted by the checks.
	base=$scratch/base-$kind
	[ "$kind" = directory ] || base=$base.db
	check "$kind: a branch that does what a plain copy does" begin "$kind"
	check "$kind: all changes, and nothing else, are listed" lists "$kind"
	check "$kind: paths choose among them" takes_paths "$kind"
	check "$kind: --json" json "$kind"
	check "$kind: --stat counts lines" counts "$kind"
	check "$kind: git applies the patch" git_applies "$kind"
	check "$kind: patch applies the patch" patch_applies "$kind"
	check "$kind: what was changed and put back is no change" equal_is_no_change "$kind"
	check "$kind: modes, owners and attributes" attributes "$kind"
	check "$kind: odd names" odd_names "$kind"
	check "$kind: progress on a terminal" progress "$kind"
done
check 'a workspace without a base is refused' refuses_what_is_no_branch
finish
