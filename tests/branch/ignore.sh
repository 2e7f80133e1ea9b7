#!/bin/bash
# What a branch never shows of its base directory: init --base-ignore. TAP on stdout.
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

# over OPTION...: $agent, a branch over a fresh directory.
over() {
	rm -rf "$scratch"/*.db* "$scratch/base-directory" "$scratch/out"
	make_base directory
	cairnfs init "$agent" --base "$base" "$@"
}

every_command() {
	over --base-ignore '*.o' --base-ignore 'docs/img'
	echo object >"$base/src/a.o"
	with "$agent" '[ ! -e src/a.o ]; [ ! -e docs/img ]; [ -e src/a.c ]; mv docs documents; rm -r old'
	cairnfs export "$agent" "$scratch/out"
	[ ! -e "$scratch/out/src/a.o" ]
	[ ! -e "$scratch/out/documents/img" ]
	[ "$(cairnfs diff "$agent" --name-status)" = $'R\tdocs\tdocuments\nD\told' ] ||
		cairnfs diff "$agent"
	echo new >"$base/old/new.o"
	# It is hidden, and no conflict.
	cairnfs accept "$agent"
	[ ! -e "$base/old" ]
	[ -e "$base/src/a.o" ]
	cairnfs undo "$base"
	[ "$(cat "$base/old/new.o")" = new ]
}

# A file of the branch where the base has one that is hidden.
in_its_place() {
	over --base-ignore '*.o'
	echo object >"$base/a.o"
	with "$agent" 'echo mine >a.o'
	[ "$(cairnfs diff "$agent" --name-status)" = $'A\ta.o' ]
	not cairnfs accept "$agent" 2>"$scratch/err"
	[ "$(cat "$base/a.o")" = object ]
	[ "$(wc -l <"$scratch/err")" = 1 ]
}

survives() {
	over --base-ignore keep
	cairnfs fork "$agent" "$scratch/fork.db"
	with "$scratch/fork.db" '[ ! -e keep ]; [ -e mode ]'
	cairnfs reject "$agent" --purge
	with "$agent" '[ ! -e keep ]; [ -e mode ]'
}

mount_option() {
	over --base-ignore keep
	not cairnfs mount "$agent" "$mnt" -o base_ignore=mode 2>"$scratch/err"
	grep -F 'leave base_ignore= out' "$scratch/err"
	over
	cairnfs mount "$agent" "$mnt" -o base_ignore=mode
	[ ! -e "$mnt/mode" ]
	cairnfs umount "$mnt"
}

mistakes() {
	over
	not cairnfs init "$scratch/x.db" --base-ignore keep
	not cairnfs init "$scratch/x.db" --base "$base" --base-ignore ''
	not cairnfs init "$scratch/x.db" --base "$base" --base-ignore $'a\nb'
	[ ! -e "$scratch/x.db" ]
}

# More than is ever stored is damage, and no crash.
damage() {
	over --base-ignore keep
	sqlite3 "$agent" "UPDATE fs_overlay_config SET value = hex(zeroblob(40000))
		WHERE key = 'cairn_ignore'"
	not cairnfs diff "$agent" 2>"$scratch/err"
	grep -F 'cannot be read' "$scratch/err"
}

scratch
mnt=$scratch/mnt
mkdir "$mnt"
will_mount "$mnt"
agent=$scratch/agent.db

check 'all commands and mounts keep to it' every_command
check 'a file in the place of a hidden one is refused' in_its_place
check 'forks and emptied branches have it, too' survives
check 'a mount with patterns of its own is refused, without stored ones not' mount_option
check 'mistakes are told' mistakes
check 'damage is an error' damage
finish
