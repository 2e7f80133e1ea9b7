#!/bin/bash
# A base that was moved: cairnfs relocate. TAP on stdout.
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

# moved KIND: $agent has changed something, and its base is at $moved by now.
moved() {
	rm -rf "$scratch"/*.db* "$scratch/base-directory" "$scratch/elsewhere"
	make_base "$1"
	cairnfs init "$agent" --base "$base"
	with "$agent" 'echo more >>keep; rm mode; mv docs documents; echo n >new'
	cairnfs diff "$agent" >"$scratch/changes"
	moved=$scratch/elsewhere
	mv "$base" "$moved"
}

every_command() {
	moved "$1"
	while read -r command rest; do
		# Words of their own.
		# shellcheck disable=SC2086
		not cairnfs "$command" "$agent" $rest 2>"$scratch/err"
		grep -F 'cairnfs relocate' "$scratch/err"
	done <<-EOF
		diff
		accept
		reset /
		reject
		check --dense
		export $scratch/out
		mount $mnt
	EOF
	cairnfs relocate "$agent" "$moved"
	cairnfs diff "$agent" >"$scratch/now"
	same "$scratch/changes" "$scratch/now"
	cairnfs check "$agent"
	with "$agent" '[ "$(tail -n 1 keep)" = more ]; [ -d documents/img ]'
	cairnfs reset "$agent" new
	cairnfs accept "$agent"
	[ "$(cairnfs diff "$agent" --name-status)" = '' ]
	if [ -d "$moved" ]; then
		[ "$(tail -n 1 "$moved/keep")" = more ]
	else
		with "$moved" '[ "$(tail -n 1 keep)" = more ]; [ ! -e mode ]'
	fi
}

another_base() {
	moved "$1"
	mkdir "$scratch/other"
	not cairnfs relocate "$agent" "$scratch/other" 2>"$scratch/err"
	grep -F 'is not the base that' "$scratch/err"
	[ "$(wc -l <"$scratch/err")" = 1 ]
	# It is where it was.
	mv "$moved" "$base"
	cairnfs diff "$agent" >"$scratch/now"
	same "$scratch/changes" "$scratch/now"
	cairnfs relocate "$agent" "$scratch/other" --force
	cairnfs info --json "$agent" | grep -F "$scratch/other"
	rmdir "$scratch/other"
}

not_while_mounted() {
	moved "$1"
	mv "$moved" "$base"
	# Called by mounted.
	# shellcheck disable=SC2317
	busy() {
		not cairnfs relocate "$agent" "$base" 2>"$scratch/err"
	}
	mounted "$agent" busy
	grep -F "$mnt" "$scratch/err"
	not cairnfs relocate "$agent" "$agent"
}

scratch
mnt=$scratch/mnt
will_mount "$mnt"
agent=$scratch/agent.db

for kind in workspace directory; do
	check "$kind: every command finds it where it is said to be" every_command "$kind"
	check "$kind: another base is refused" another_base "$kind"
	check "$kind: a mounted branch keeps its base" not_while_mounted "$kind"
done
finish
