#!/bin/bash
# Accepting some of the names of a file and then the rest, over bases of both kinds. TAP on stdout.
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

# over KIND: $agent, a branch over a fresh base of the kind.
over() {
	rm -rf "$scratch"/*.db* "$scratch/base-directory"
	make_base "$1"
	cairnfs init "$agent" --base "$base"
}

# base_has COMMAND: it succeeds in the base.
base_has() {
	if [ -d "$base" ]; then
		(cd "$base" && eval "$1")
	else
		sound "$base"
		with "$base" "$1"
	fi
}

# left LINES: what is still different, and the branch is sound.
left() {
	sound "$agent"
	[ "$(cairnfs diff "$agent" --name-status)" = "$1" ]
}

new_file() {
	over "$1"
	with "$agent" 'echo n >n1; ln n1 n2; ln n1 n3; ln n1 n4; stat -c %i n1 >keep'
	cairnfs accept "$agent" n2
	base_has '[ "$(stat -c %h n2)" = 1 ]; [ ! -e n1 ]'
	left $'M\tkeep\nA\tn1\nA\tn3\nA\tn4'
	with "$agent" '[ "$(stat -c %h n2)" = 4 ]; [ n1 -ef n2 ]; [ "$(stat -c %i n2)" = "$(cat keep)" ]'
	cairnfs accept "$agent" n1
	base_has '[ "$(stat -c %h n2)" = 2 ]; [ n1 -ef n2 ]'
	left $'M\tkeep\nA\tn3\nA\tn4'
	with "$agent" '[ n1 -ef n3 ]; [ n2 -ef n4 ]; [ "$(stat -c %h n1)" = 4 ]'
	cairnfs accept "$agent" n3 n4
	base_has '[ "$(stat -c %h n1)" = 4 ]; [ n1 -ef n2 ]; [ n2 -ef n3 ]; [ n3 -ef n4 ]'
	left $'M\tkeep'
	# No name of it is left in the branch.
	[ "$(sqlite3 "$agent" "SELECT COUNT(*) FROM fs_dentry WHERE name LIKE 'n_'")" = 0 ]
	with "$agent" '[ n1 -ef n4 ]; [ "$(stat -c %h n3)" = 4 ]'
}

another_name() {
	over "$1"
	with "$agent" 'echo more >>keep; chmod 600 keep; ln keep keep2; ln -f keep mode'
	cairnfs accept "$agent" keep2
	base_has '[ "$(cat keep2)" = keep ]; [ keep -ef keep2 ]; [ "$(cat mode)" = mode ]'
	left $'M\tkeep\nM\tkeep2\nM\tmode'
	with "$agent" '[ keep -ef keep2 ]; [ keep -ef mode ]; [ "$(stat -c %h keep)" = 3 ]'
	cairnfs accept "$agent" keep2
	base_has '[ "$(cat keep)" = "$(printf "keep\nmore")" ]; [ "$(stat -c %a keep)" = 600 ]'
	left $'M\tmode'
	cairnfs accept "$agent"
	base_has '[ keep -ef keep2 ]; [ keep -ef mode ]; [ "$(stat -c %h keep)" = 3 ]'
	left ''
}

content_first() {
	over "$1"
	with "$agent" 'echo more >>keep; ln keep keep2'
	cairnfs accept "$agent" keep
	left $'A\tkeep2'
	# What is written now is a change like any other.
	with "$agent" 'echo again >>keep2; [ "$(stat -c %h keep)" = 2 ]'
	left $'M\tkeep\nA\tkeep2'
	cairnfs accept "$agent"
	base_has '[ keep -ef keep2 ]; [ "$(tail -n 1 keep)" = again ]'
	left ''
}

a_name_less() {
	over "$1"
	with "$agent" 'rm hard1; echo more >>hard2'
	cairnfs accept "$agent" hard2
	base_has '[ hard1 -ef hard2 ]; [ "$(tail -n 1 hard1)" = more ]'
	left $'D\thard1'
	with "$agent" '[ "$(stat -c %h hard2)" = 1 ]; [ "$(tail -n 1 hard2)" = more ]'
	cairnfs accept "$agent"
	base_has '[ ! -e hard1 ]; [ "$(stat -c %h hard2)" = 1 ]'
	left ''
}

renamed() {
	over "$1"
	with "$agent" 'mv keep kept; ln kept kept2; mv hard1 hard3; ln hard3 hard4'
	cairnfs accept "$agent" kept2 hard4
	base_has '[ keep -ef kept2 ]; [ hard2 -ef hard4 ]'
	left $'R\thard1\thard3\nR\tkeep\tkept'
	with "$agent" '[ kept -ef kept2 ]; [ "$(stat -c %h kept)" = 2 ]; [ "$(stat -c %h hard2)" = 3 ]'
	cairnfs accept "$agent"
	base_has '[ ! -e keep ]; [ kept -ef kept2 ]; [ ! -e hard1 ]; [ hard3 -ef hard4 ]
		[ "$(stat -c %h hard2)" = 3 ]'
	left ''
}

# What somebody else did to one of the names is met all the same.
still_meets() {
	over "$1"
	with "$agent" 'echo more >>keep; ln keep keep2'
	if [ -d "$base" ]; then
		echo other >>"$base/keep"
	else
		with "$base" 'echo other >>keep'
	fi
	cairnfs accept "$agent" keep2
	not cairnfs accept "$agent"
	left $'M\tkeep\nM\tkeep2'
	cairnfs accept "$agent" --force
	base_has '[ keep -ef keep2 ]; [ "$(cat keep)" = "$(printf "keep\nmore")" ]'
	left ''
}

scratch
mnt=$scratch/mnt
will_mount "$mnt"
agent=$scratch/agent.db

for kind in workspace directory; do
	check "$kind: a new file, name by name" new_file "$kind"
	check "$kind: another name of a changed file" another_name "$kind"
	check "$kind: the changed file before its other name" content_first "$kind"
	check "$kind: a changed file that has lost a name" a_name_less "$kind"
	check "$kind: another name of a renamed file" renamed "$kind"
	check "$kind: a name does not hide what others changed" still_meets "$kind"
done
finish
