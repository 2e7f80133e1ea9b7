#!/bin/bash
# cairnfs and AgentFS's own SDK (npm agentfs-sdk) take turns on one workspace file: what one
# wrote the other reads, every byte and stat. TAP on stdout.
#
#	run.sh DIRECTORY	where the npm package is, or is installed
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/tap.sh
. "$here/../../scripts/tap.sh"

peer_dir=$1
: "${CAIRNFS_BIN:?names the program under test}"

install_peer() {
	mkdir -p "$peer_dir"
	cp "$here"/package.json "$here"/*.mjs "$peer_dir/"
	cd "$peer_dir"
	node --input-type=module -e 'import "agentfs-sdk"' 2>/dev/null ||
		npm install --no-package-lock --no-audit --no-fund --ignore-scripts
	grep -q '"version": "0.6.4"' node_modules/agentfs-sdk/package.json
}

peer() {
	node "$peer_dir/peer.mjs" "$@"
}

mounted() {
	node "$peer_dir/mounted.mjs" "$@"
}

mount_it() {
	"$CAIRNFS_BIN" mount "$1" "$mnt"
}

# The one file is the workspace: nothing beside it holds data after an unmount, and nothing is
# there that AgentFS would trip over.
umount_it() {
	local db=$1

	"$CAIRNFS_BIN" umount "$mnt"
	[ ! -s "$db-wal" ]
	[ ! -e "$db-info" ]
	[ ! -s "${db%.db}.db-log" ]
	[ "$(sqlite3 "$db" 'PRAGMA integrity_check')" = ok ]
}

# mount_reads DB: the mount shows what the SDK says is there.
mount_reads() {
	peer tree "$1" >"$scratch/sdk.tree"
	mount_it "$1"
	mounted tree "$mnt" >"$scratch/mount.tree"
	umount_it "$1"
	same "$scratch/sdk.tree" "$scratch/mount.tree"
}

# mount_changes DB COMMAND: files are changed through the mount, and read there and by the SDK.
mount_changes() {
	mount_it "$1"
	mounted "$2" "$mnt"
	mounted tree "$mnt" >"$scratch/mount.tree"
	umount_it "$1"
	peer tree "$1" >"$scratch/sdk.tree"
	same "$scratch/mount.tree" "$scratch/sdk.tree"
}

# state_is_kept DB: key-value pairs and tool calls are as they were before.
state_is_kept() {
	peer state "$1" >"$scratch/state.now"
	[ -s "$scratch/state.now" ]
	same "$scratch/state.before" "$scratch/state.now"
}

sdk_fills() {
	peer fill "$1"
	peer state "$1" >"$scratch/state.before"
	peer tree "$1" | grep -F '"/sizes/300000"' >/dev/null
}

sdk_fills_unwritten_log() {
	sdk_fills "$1"
	mount_reads "$1"
}

# kv_both_ways DB: what the one has set the other gets, as the same value.
kv_both_ways() {
	local db=$1

	[ "$("$CAIRNFS_BIN" kv "$db" get a)" = 1 ]
	[ "$("$CAIRNFS_BIN" kv "$db" get long | wc -c)" = 100000 ]
	"$CAIRNFS_BIN" kv "$db" get object --json |
		node -e 'require("assert").deepEqual(JSON.parse(require("fs").readFileSync(0)).value,
			{ list: [1, "two", null], "ключ": "値" })'
	"$CAIRNFS_BIN" kv "$db" set text "plain \"text\", 値"
	"$CAIRNFS_BIN" kv "$db" set object '{"n": [1, true]}'
	"$CAIRNFS_BIN" kv "$db" set digits 12 --string
	"$CAIRNFS_BIN" kv "$db" incr count 41
	"$CAIRNFS_BIN" kv "$db" incr count
	peer state "$db" | grep -F '"key"' | LC_ALL=C sort | sed 's/vvv*/v/' >"$scratch/state.now"
	LC_ALL=C sort >"$scratch/state.want" <<'END'
{"key":"a","value":1}
{"key":"count","value":42}
{"key":"digits","value":"12"}
{"key":"long","value":"v"}
{"key":"object","value":{"n":[1,true]}}
{"key":"text","value":"plain \"text\", 値"}
END
	same "$scratch/state.want" "$scratch/state.now"
}

sdk_edits() {
	peer edit "$1"
	peer tree "$1" | grep renamed-by-sdk >/dev/null
}

init_it() {
	local db=$1

	shift
	"$CAIRNFS_BIN" init "$db" "$@"
}

make_old() {
	sqlite3 "$1" <"$here/old-schema.sql"
}

# The SDK does not migrate the file; a copy tells what it reads there.
old_reads() {
	cp "$1" "$scratch/copy.db"
	peer tree "$scratch/copy.db" >"$scratch/sdk.tree"
	mount_it "$1"
	mounted tree "$mnt" >"$scratch/mount.tree"
	umount_it "$1"
	same "$scratch/sdk.tree" "$scratch/mount.tree"
	[ "$(sqlite3 "$1" "SELECT group_concat(typeof(rdev) || typeof(mtime_nsec), ' ')
		FROM (SELECT * FROM fs_inode WHERE ino = 3)")" = integerinteger ]
}

# The SDK has set schema_version to 0.4 and added none of that schema's columns.
relabel_old() {
	make_old "$1"
	peer tree "$1" >/dev/null
	[ "$(sqlite3 "$1" "SELECT value FROM fs_config WHERE key = 'schema_version'")" = 0.4 ]
	! sqlite3 "$1" 'SELECT rdev FROM fs_inode' 2>/dev/null
}

make_base() {
	mkdir -p "$base/docs/img" "$base/old/in" "$base/papers/img" "$base/src"
	head -c 3000000 /dev/zero | tr '\0' x >"$base/big"
	echo mode >"$base/mode"
	echo doc >"$base/docs/d"
	echo img >"$base/docs/img/i"
	echo paper >"$base/papers/img/p"
	echo paper >"$base/papers/d"
	echo in >"$base/old/in/f"
	echo keep >"$base/old/keep"
	echo linked >"$base/src/one"
	ln "$base/src/one" "$base/two"
	ln -s src/one "$base/link"
	truncate -s 300000 "$base/sparse"
	echo gone >"$base/gone"
}

# An agent's work: what AgentFS would have copied up whole, moved, or cannot say at all.
work() {
	cd "$mnt"
	printf y | dd of=big bs=1 seek=2000000 conv=notrunc status=none
	chmod 755 mode
	rm papers/d
	rm -r papers
	mv docs papers
	mv papers/img pictures
	mkdir papers/img
	echo new >papers/img/new
	mv old older
	rm older/keep
	mkdir -p old/in
	echo 2 >old/keep
	rm two
	echo more >>src/one
	printf z | dd of=sparse bs=1 seek=200000 conv=notrunc status=none
	rm gone
}

# sees_the_same: AgentFS shows of the overlay what the mount shows.
sees_the_same() {
	sqlite3 "$db" 'SELECT json_group_array(path) FROM fs_whiteout' |
		node "$peer_dir/overlay.mjs" tree "$db" "$base" >"$scratch/sdk.tree"
	mount_it "$db"
	node "$peer_dir/overlay.mjs" plain "$mnt" >"$scratch/mount.tree"
	umount_it "$db"
	same "$scratch/mount.tree" "$scratch/sdk.tree"
}

make_overlay() {
	make_base
	"$CAIRNFS_BIN" init "$db" --base "$base"
	sees_the_same
	mount_it "$db"
	(work)
	umount_it "$db"
}

# The SDK cannot know before, which shows that the test would see it.
complete_overlay() {
	if sees_the_same; then
		return 1
	fi
	"$CAIRNFS_BIN" check "$db" --dense
	"$CAIRNFS_BIN" check "$db"
	sees_the_same
	"$CAIRNFS_BIN" check "$db" --dense >"$scratch/out"
	[ "$(wc -l <"$scratch/out")" = 1 ]
}

# What the SDK makes in a branch lies over the base as what the mount makes does.
sdk_fills_overlay() {
	peer fill "$db"
	peer tree "$db" | grep -F '"/sizes/300000"' >/dev/null
	sees_the_same
}

scratch
mnt="$scratch/mnt"
mkdir "$mnt"
will_mount "$mnt"
check "npm agentfs-sdk is there" install_peer

db="$scratch/sdk.db"
check "the SDK makes a workspace, the mount reads it" sdk_fills_unwritten_log "$db"
check "the mount changes the SDK's files, the SDK reads them" mount_changes "$db" edit
check "the mount adds files, the SDK reads them" mount_changes "$db" fill
check "pairs and tool calls are kept" state_is_kept "$db"
check "the SDK changes the mount's files" sdk_edits "$db"
check "the mount reads the SDK's changes" mount_reads "$db"

db="$scratch/kv.db"
check "the SDK sets keys" sdk_fills "$db"
check "keys and values both ways" kv_both_ways "$db"

for options in "" "--chunk-size 4096" "--chunk-size 131072 --page-size 16384"; do
	db="$scratch/cairnfs${options//[ -]/_}.db"
	title="init${options:+ $options}"
	# shellcheck disable=SC2086 # the options are words
	check "$title" init_it "$db" $options
	check "$title: the mount writes, the SDK reads" mount_changes "$db" fill
	check "$title: the SDK changes the mount's files" sdk_edits "$db"
	check "$title: the mount reads the SDK's changes" mount_reads "$db"
	check "$title: the SDK adds files, the mount reads them" sdk_fills_unwritten_log "$db"
	check "$title: the mount changes the SDK's files" mount_changes "$db" edit
	check "$title: pairs and tool calls are kept" state_is_kept "$db"
done

db="$scratch/old.db"
check "a file of AgentFS 0.2" make_old "$db"
check "the mount reads it, and adds the columns it lacks" old_reads "$db"
check "the mount writes to it, the SDK reads" mount_changes "$db" fill

db="$scratch/relabelled.db"
check "a file of AgentFS 0.2 that the SDK calls 0.4" relabel_old "$db"
check "the mount reads it" old_reads "$db"
check "the mount writes to it, the SDK reads" mount_changes "$db" fill
db="$scratch/overlay.db"
base="$scratch/base"
check "an overlay over a directory" make_overlay
check "completed, AgentFS sees the same in it" complete_overlay
check "the SDK adds files to it" sdk_fills_overlay
finish
