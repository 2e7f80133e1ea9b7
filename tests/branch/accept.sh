#!/bin/bash
# cairnfs accept and undo: the changes of a branch become those of its base, and back. TAP on
# stdout.
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

lines() {
	wc -l <"$1"
}

# What the branch shows before the accept is what the base shows after it, and a plain copy that
# had the same done to it.
round_trip() {
	fresh
	tree "$base" >"$scratch/before"
	more() {
		change "$mnt"
		setfattr -n user.colour -v red "$mnt/keep"
		! [ "$(id -u)" = 0 ] || chown 12001:12002 "$mnt/src/long"
		chmod 2770 "$mnt/src/lib"
		mkfifo "$mnt/pipe"
		truncate -s 100 "$mnt/src/nonl"
		truncate -s 2500000 "$mnt/big"
		touch -d 2001-02-03 "$mnt/tree/of/dirs/leaf" "$mnt/src/a.c"
	}
	mounted "$agent" more
	tree "$agent" >"$scratch/branch"
	cairnfs accept "$agent"
	sound "$base"
	sound "$agent"
	tree "$base" >"$scratch/after"
	same "$scratch/branch" "$scratch/after"
	[ "$(cairnfs diff "$agent")" = 'No changes.' ]
	[ "$(sqlite3 "$agent" 'SELECT COUNT(*) FROM fs_inode')" = 1 ]
	tree "$agent" >"$scratch/branch"
	same "$scratch/after" "$scratch/branch"
}

undone() {
	cairnfs undo "$base"
	sound "$base"
	tree "$base" >"$scratch/now"
	same "$scratch/before" "$scratch/now"
}

redone() {
	cairnfs undo "$base" 2
	sound "$base"
	tree "$base" >"$scratch/now"
	same "$scratch/after" "$scratch/now"
	cairnfs undo --list "$base" | tee "$scratch/list"
	[ "$(lines "$scratch/list")" = 3 ]
	not cairnfs undo "$base" 2
}

rename_copies_nothing() {
	fresh
	with "$agent" 'mv docs documents; mv big huge'
	before=$(sqlite3 "$base" 'SELECT COUNT(*), MAX(rowid) FROM fs_data')
	cairnfs accept "$agent"
	[ "$(sqlite3 "$base" 'SELECT COUNT(*), MAX(rowid) FROM fs_data')" = "$before" ]
	[ "$(sqlite3 "$base" 'SELECT COUNT(*) FROM cairn_undo_data')" = 0 ]
}

only_changed_chunks() {
	fresh
	with "$agent" 'printf y | dd of=big bs=1 seek=2000000 conv=notrunc status=none'
	cairnfs accept "$agent"
	[ "$(sqlite3 "$base" 'SELECT COUNT(*) FROM cairn_undo_data')" = 1 ]
}

hard_links() {
	fresh
	with "$agent" 'echo changed >hard1; ln src/a.c src/b.c; ln keep keep2; echo k >keep2'
	cairnfs accept "$agent"
	sound "$base"
	with "$base" '[ "$(cat hard2)" = changed ]; [ src/a.c -ef src/b.c ]
		[ keep -ef keep2 ]; [ "$(cat keep)" = k ]; [ "$(stat -c %h keep)" = 2 ]'
}

paths() {
	fresh
	with "$agent" 'echo 1 >src/new; mkdir -p a/b/c; echo 2 >a/b/c/d; echo 3 >a/b/e; echo x >keep'
	cairnfs accept "$agent" a/b/c/d src
	sound "$base"
	sound "$agent"
	with "$base" '[ "$(cat src/new a/b/c/d)" = "$(printf "1\n2")" ]; [ "$(cat keep)" = keep ]
		[ ! -e a/b/e ]'
	with "$agent" '[ "$(cat src/new a/b/c/d a/b/e keep)" = "$(printf "1\n2\n3\nx")" ]'
	[ "$(cairnfs diff "$agent" --name-status)" = $'A\ta/b/e\nM\tkeep' ]
	cairnfs accept "$agent"
	with "$base" '[ "$(cat a/b/e keep)" = "$(printf "3\nx")" ]'
	[ "$(sqlite3 "$agent" 'SELECT COUNT(*) FROM fs_inode')" = 1 ]
}

parts_of_one_change() {
	fresh
	with "$agent" 'mv docs documents; echo more >>documents/d; rm documents/medium; mv deep/a/b up; rm -r deep
		mv s2 z; mv s1 s2'
	not cairnfs accept "$agent" documents/d 2>"$scratch/err"
	[ "$(lines "$scratch/err")" = 1 ]
	grep -F 'parts of one change' "$scratch/err"
	not cairnfs accept "$agent" s1 2>"$scratch/err"
	grep -F "'s2' and 'z' are parts" "$scratch/err"
	cairnfs accept "$agent" deep
	with "$base" '[ "$(cat up/f)" = deep ]; [ ! -e deep ]'
	cairnfs accept "$agent" documents
	with "$base" '[ "$(cat documents/d)" = "$(printf "doc\nmore")" ]'
	cairnfs accept "$agent"
	with "$base" '[ "$(cat s2 z)" = "$(printf "swap1\nswap2")" ]; [ ! -e s1 ]'
}

# conflict EXPECTED: the branch is refused for these paths, and nothing has changed.
conflict() {
	tree "$base" >"$scratch/base.before"
	tree "$agent" >"$scratch/agent.before"
	not cairnfs accept "$agent" 2>"$scratch/err"
	sed '$d; s/:.*//' "$scratch/err" | LC_ALL=C sort >"$scratch/paths"
	same <(printf '%s\n' "$@" | LC_ALL=C sort) "$scratch/paths"
	tree "$base" >"$scratch/now"
	same "$scratch/base.before" "$scratch/now"
	tree "$agent" >"$scratch/now"
	same "$scratch/agent.before" "$scratch/now"
}

diverge() {
	fresh
	with "$agent" 'echo mine >keep; rm mode; mv s1 moved; echo mine >both; rm -r old
		echo deeper >deep/a/b/f; mkdir type; echo x >type/x; echo fine >src/nonl
		printf z | dd of=big bs=1 seek=5 conv=notrunc status=none'
	with "$base" 'echo theirs >keep; chmod 600 mode; echo theirs >s1; echo theirs >both
		echo 3 >old/3; rm deep/a/b/f; echo file >type
		printf y | dd of=big bs=1 seek=9 conv=notrunc status=none'
}

conflicts() {
	diverge
	conflict both keep mode moved old deep/a/b/f type big
}

dry_run() {
	diverge
	tree "$base" >"$scratch/base.before"
	tree "$agent" >"$scratch/agent.before"
	before=$(sha256sum "$base")
	cairnfs accept "$agent" src --dry-run >"$scratch/out"
	grep -F 'src/nonl (content)' "$scratch/out"
	not cairnfs accept "$agent" --dry-run --json >"$scratch/json"
	jq -e '.accepted == 0 and (.conflicts | length) == 8' "$scratch/json"
	[ "$(sha256sum "$base")" = "$before" ]
	tree "$agent" >"$scratch/now"
	same "$scratch/agent.before" "$scratch/now"
}

preserve() {
	diverge
	cairnfs accept "$agent" --strategy=preserve >"$scratch/out"
	sound "$base"
	sound "$agent"
	grep -F 'changes left in the branch' "$scratch/out"
	with "$base" '[ "$(cat keep both s1)" = "$(printf "theirs\ntheirs\ntheirs")" ]
		[ -e mode ]; [ -e old/3 ]; [ ! -e deep/a/b/f ]; [ -f type ]; [ "$(cat src/nonl)" = fine ]'
	with "$agent" '[ "$(cat keep both deep/a/b/f type/x src/nonl)" = \
		"$(printf "mine\nmine\ndeeper\nx\nfine")" ]; [ ! -e mode ]; [ -e moved ]'
}

overwrite() {
	diverge
	tree "$base" >"$scratch/before"
	cairnfs accept "$agent" --force
	sound "$base"
	with "$base" '[ "$(cat keep both deep/a/b/f type/x)" = "$(printf "mine\nmine\ndeeper\nx")" ]
		[ ! -e mode ]; [ ! -e old ]; [ ! -e s1 ]; [ -e moved ]
		[ "$(head -c 10 big)" = xxxxxzxxxx ]'
	cairnfs undo "$base"
	sound "$base"
	tree "$base" >"$scratch/now"
	same "$scratch/before" "$scratch/now"
}

equal_bytes() {
	fresh
	with "$agent" 'echo same >keep; echo same >new; rm mode; ln -sf x link'
	with "$base" 'echo same >keep; echo same >new; rm mode; ln -sf x link'
	cairnfs accept "$agent"
	[ "$(cairnfs diff "$agent")" = 'No changes.' ]
}

undo_refuses() {
	fresh
	with "$agent" 'echo 1 >keep; mkdir made; echo 2 >made/in'
	cairnfs accept "$agent"
	with "$base" 'echo later >keep; echo later >made/later; echo other >other'
	not cairnfs undo "$base" 2>"$scratch/err"
	cat "$scratch/err"
	grep -F 'keep: changed since' "$scratch/err"
	grep -F 'made/later: changed since' "$scratch/err"
	not grep -F other "$scratch/err"
	cairnfs undo "$base" --force
	sound "$base"
	with "$base" '[ "$(cat made/later other)" = "$(printf "later\nother")" ]; [ ! -e made/in ]
		[ "$(cat keep)" = keep ]'
}

undo_among_others() {
	fresh
	cairnfs init "$scratch/b.db" --base "$base"
	with "$agent" 'echo 1 >src/a1; rm -r old'
	with "$scratch/b.db" 'echo 2 >src/a2'
	cairnfs accept "$agent"
	cairnfs accept "$scratch/b.db"
	cairnfs undo "$base" 1
	sound "$base"
	with "$base" '[ "$(cat src/a2 old/1 old/2)" = "$(printf "2\n1\n2")" ]; [ ! -e src/a1 ]
		[ "$(stat -c %h .)" = 8 ]'
}

# The base may be a branch in turn. (keep is touched, and that is no change.)
branch_over_branch() {
	fresh
	cairnfs init "$scratch/sub.db" --base "$agent"
	tree "$agent" >"$scratch/before"
	mounted "$scratch/sub.db" change "$mnt"
	tree "$scratch/sub.db" | grep -v '^keep f' >"$scratch/sub"
	cairnfs accept "$scratch/sub.db"
	sound "$agent"
	tree "$agent" | grep -v '^keep f' >"$scratch/now"
	same "$scratch/sub" "$scratch/now"
	cairnfs undo "$agent"
	tree "$agent" >"$scratch/now"
	same "$scratch/before" "$scratch/now"
	cairnfs undo "$agent" 2
	cairnfs accept "$agent"
	tree "$base" | grep -v '^keep f' >"$scratch/now"
	same "$scratch/sub" "$scratch/now"
}

fifty_agents() {
	local i

	fresh
	mkdir -p "$scratch/agents"
	for i in $(seq 50); do
		cairnfs init "$scratch/agents/$i.db" --base "$base" >/dev/null
	done
	cairnfs mount "$base" "$mnt"
	for i in $(seq 50); do
		mkdir "$scratch/agents/m$i"
		cairnfs mount "$scratch/agents/$i.db" "$scratch/agents/m$i"
	done
	many() {
		local mnt=$scratch/agents/m$1

		echo "$1" >"$mnt/own-$1"
		echo "$1" >"$mnt/shared"
		echo "$1" >>"$mnt/src/a.c"
		sync "$mnt/shared"
		[ "$(find "$mnt" -name 'own-*')" = "$mnt/own-$1" ]
		[ "$(cat "$mnt/shared")" = "$1" ]
		[ "$(tail -n 1 "$mnt/src/a.c")" = "$1" ]
	}
	export -f many
	export scratch
	seq 50 | xargs -P 50 -I{} bash -ec 'many {}'
	[ ! -e "$mnt/shared" ]
	[ -z "$(find "$mnt" -name 'own-*')" ]
	[ "$(grep -c 1 "$mnt/src/a.c")" = 0 ]
	for i in $(seq 50); do
		cairnfs umount "$scratch/agents/m$i"
	done
	cairnfs umount "$mnt"
	cairnfs accept "$scratch/agents/1.db" >/dev/null
	for i in $(seq 2 50); do
		not cairnfs accept "$scratch/agents/$i.db" 2>"$scratch/err"
		[ "$(lines "$scratch/err")" = 3 ]
		grep -q '^shared: ' "$scratch/err"
		grep -q '^src/a.c: ' "$scratch/err"
		cairnfs accept "$scratch/agents/$i.db" --strategy=preserve >/dev/null
	done
	sound "$base"
	with "$base" '[ "$(cat shared)" = 1 ]; [ "$(find . -name "own-*" | wc -l)" = 50 ]
		[ "$(cat own-33)" = 33 ]'
	with "$scratch/agents/7.db" '[ "$(cat shared own-33)" = "$(printf "7\n33")" ]'
}

# Two at once wait for one another.
two_at_once() {
	local i

	fresh
	for i in 1 2 3 4; do
		cairnfs init "$scratch/$i.db" --base "$base"
		with "$scratch/$i.db" "for n in \$(seq 100); do echo $i >$i-\$n; done; echo $i >one"
	done
	for i in 1 2 3 4; do
		cairnfs accept "$scratch/$i.db" --strategy=preserve &
	done
	wait
	sound "$base"
	with "$base" '[ "$(find . -name "[1-4]-*" | wc -l)" = 400 ]; [ -f one ]'
	[ "$(sqlite3 "$base" 'SELECT COUNT(*) FROM cairn_undo')" = 4 ]
}

# Both are mounted, with changes that are not committed yet; afterwards both mounts show them.
mounted_both() {
	local agent_mnt=$scratch/agent-mnt

	fresh
	cairnfs mount "$base" "$mnt"
	mkdir -p "$agent_mnt"
	cairnfs mount "$agent" "$agent_mnt" -o commit_interval_ms=60000
	echo base >"$mnt/of-base"
	[ "$(cat "$mnt/keep")" = keep ]
	echo mine >"$agent_mnt/keep"
	mv "$agent_mnt/docs" "$agent_mnt/documents"
	echo new >"$agent_mnt/new"
	[ "$(cat "$mnt/keep")" = keep ]
	[ ! -e "$mnt/new" ]
	cairnfs diff "$agent" --name-status | tee "$scratch/out"
	grep -F '	new' "$scratch/out"
	cairnfs accept "$agent"
	for _ in $(seq 100); do
		[ -e "$mnt/new" ] && [ "$(cat "$mnt/keep")" = mine ] && break
		sleep 0.1
	done
	[ "$(cat "$mnt/keep" "$mnt/new" "$mnt/of-base" "$mnt/documents/d")" = \
		"$(printf 'mine\nnew\nbase\ndoc')" ]
	[ ! -e "$mnt/docs" ]
	[ "$(cat "$agent_mnt/keep" "$agent_mnt/new" "$agent_mnt/documents/d")" = \
		"$(printf 'mine\nnew\ndoc')" ]
	echo later >"$agent_mnt/keep"
	cairnfs undo "$base"
	for _ in $(seq 100); do
		[ ! -e "$mnt/new" ] && [ "$(cat "$mnt/keep")" = keep ] && break
		sleep 0.1
	done
	[ ! -e "$mnt/new" ]
	[ "$(cat "$mnt/keep" "$mnt/docs/d")" = "$(printf 'keep\ndoc')" ]
	[ "$(cat "$agent_mnt/keep")" = later ]
	cairnfs umount "$agent_mnt"
	cairnfs umount "$mnt"
	sound "$base"
	sound "$agent"
}

# What another agent has not accepted is its own, also while all are mounted.
isolation() {
	local a=$scratch/agent-mnt b=$scratch/b-mnt

	fresh
	cairnfs init "$scratch/b.db" --base "$base"
	mkdir -p "$a" "$b"
	cairnfs mount "$base" "$mnt"
	cairnfs mount "$agent" "$a"
	cairnfs mount "$scratch/b.db" "$b"
	echo a >"$a/keep"
	rm "$a/mode"
	echo b >"$b/keep"
	[ "$(cat "$mnt/keep" "$a/keep" "$b/keep")" = "$(printf 'keep\na\nb')" ]
	[ -e "$mnt/mode" ]
	[ -e "$b/mode" ]
	cairnfs accept "$agent"
	for _ in $(seq 100); do
		[ ! -e "$b/mode" ] && [ ! -e "$mnt/mode" ] && break
		sleep 0.1
	done
	[ ! -e "$b/mode" ]
	[ "$(cat "$mnt/keep" "$b/keep")" = "$(printf 'a\nb')" ]
	not cairnfs accept "$scratch/b.db" 2>"$scratch/err"
	grep '^keep: changed in the base since' "$scratch/err"
	cairnfs umount "$a"
	cairnfs umount "$b"
	cairnfs umount "$mnt"
}

# change_of FILE COMMAND...: an agent's change of a file is in its mount's memory yet when another's
# is accepted; that is found all the same.
meets() {
	local path=$1 b=$scratch/b-mnt

	shift
	fresh
	rm -f "$scratch/b.db"*
	cairnfs init "$scratch/b.db" --base "$base"
	mkdir -p "$b"
	cairnfs mount "$scratch/b.db" "$b" -o commit_interval_ms=60000
	# Some of it was changed long ago.
	chmod 640 "$b/hard1"
	mv "$b/src/bin" "$b/src/binary"
	sync "$b/hard1"
	(cd "$b" && eval "$*")
	with "$agent" "$other"
	cairnfs accept "$agent"
	not cairnfs accept "$scratch/b.db" 2>"$scratch/err" || {
		echo "not found: $*" >&2
		cairnfs umount "$b"
		return 1
	}
	grep -F "$path: " "$scratch/err"
	cairnfs umount "$b"
}

noted_at_the_change() {
	other='echo other >keep'
	meets keep 'echo mine >keep'
	meets keep 'echo mine >>keep'
	meets keep 'chmod 600 keep'
	meets keep 'rm keep'
	meets keep 'echo x >new; mv new keep'
	meets moved 'mv keep moved'
	meets keep 'rm keep; mkdir keep'
	other='echo 12345 >new; mv new keep'
	meets keep 'rm keep'
	meets keep 'echo x >new; mv new keep'
	other='ln -sf elsewhere link'
	meets link 'rm link; ln -s nowhere link'
	meets link 'touch -h link; rm link'
	other='echo theirs >fresh'
	meets fresh 'echo mine >fresh'
	other='chmod 700 old'
	meets old 'rm -r old'
	meets old 'chmod 711 old'
	other='echo other >hard1'
	meets hard1 'echo mine >>hard1'
	meets hard2 'rm hard2'
	other='printf 1234567890 | dd of=src/bin conv=notrunc status=none'
	meets src/binary 'echo mine >>src/binary'
}

# What was changed long ago, or by nobody else, meets nothing.
noted_without_need() {
	local b=$scratch/b-mnt

	fresh
	rm -f "$scratch/b.db"*
	cairnfs init "$scratch/b.db" --base "$base"
	mkdir -p "$b"
	cairnfs mount "$scratch/b.db" "$b" -o commit_interval_ms=60000
	(
		cd "$b"
		chmod 640 hard1 src/bin
		touch -d 2030-01-01 keep
		mv src/bin src/binary
		sync keep
		rm hard2 link
		echo more >>src/binary
		echo mine >keep
		echo x >new
		mv new mode
		mv docs documents
		rm -r old deep
	)
	with "$agent" 'echo other >src/a.c; echo n >other-new; rmdir empty'
	cairnfs accept "$agent"
	cairnfs accept "$scratch/b.db"
	cairnfs umount "$b"
	with "$base" '[ "$(cat keep mode src/a.c other-new)" = "$(printf "mine\nx\nother\nn")" ]'
}

# A mount over a snapshot of the base stays at that; what was changed there is for the base.
over_one_version() {
	local agent_mnt=$scratch/agent-mnt

	fresh
	cairnfs snapshot "$base" "$scratch/version.db"
	with "$base" 'echo later >keep; echo later >both; rm mode; echo new >new'
	mkdir -p "$agent_mnt"
	cairnfs mount "$agent" "$agent_mnt" -o base="$scratch/version.db"
	[ "$(cat "$agent_mnt/keep" "$agent_mnt/mode")" = "$(printf 'keep\nmode')" ]
	[ ! -e "$agent_mnt/new" ]
	echo mine >"$agent_mnt/keep"
	mv "$agent_mnt/src" "$agent_mnt/source"
	not cairnfs accept "$agent" 2>"$scratch/err"
	grep '^keep: changed in the base since' "$scratch/err"
	cairnfs accept "$agent" source
	[ "$(cat "$agent_mnt/keep" "$agent_mnt/mode")" = "$(printf 'mine\nmode')" ]
	cairnfs umount "$agent_mnt"
	[ "$(cairnfs diff "$agent" --name-status)" = $'M\tkeep' ]
	sound "$base"
	with "$base" '[ -f source/a.c ]; [ ! -e src ]; [ "$(cat keep new)" = "$(printf "later\nnew")" ]'
	with "$agent" '[ -f source/a.c ]; [ "$(cat keep new)" = "$(printf "mine\nnew")" ]'
	with "$scratch/version.db" '[ -f src/a.c ]; [ "$(cat keep)" = keep ]'
}

# A base that is not there is told so, of either kind.
base_is_gone() {
	fresh
	with "$agent" 'echo x >keep'
	mv "$base" "$scratch/elsewhere"
	not cairnfs accept "$agent" 2>"$scratch/err"
	[ "$(lines "$scratch/err")" = 1 ]
	grep -F "is a branch of '$base', which is not there" "$scratch/err"
	mv "$scratch/elsewhere" "$base"
	cairnfs accept "$agent"
}

scratch
mnt=$scratch/mnt
base=$scratch/base.db
agent=$scratch/agent.db
will_mount "$mnt" "$scratch/agent-mnt" "$scratch/b-mnt"
for i in $(seq 50); do
	will_mount "$scratch/agents/m$i"
done
check 'the base becomes what the branch was' round_trip
check 'undo restores it exactly' undone
check 'an undo can be taken back' redone
check 'what is renamed is not copied' rename_copies_nothing
check 'of a large file, the changed chunks are copied' only_changed_chunks
check 'hard links' hard_links
check 'paths choose what is accepted, with the directories above' paths
check 'what belongs together is accepted together' parts_of_one_change
check 'conflicts are named, and nothing is done' conflicts
check 'a dry run changes nothing' dry_run
check '--strategy=preserve leaves what conflicts in the branch' preserve
check '--force, and its undo' overwrite
check 'what is equal by now is no conflict' equal_bytes
check 'undo says what has changed since' undo_refuses
check 'undo leaves what others accepted' undo_among_others
check 'a base that is a branch itself' branch_over_branch
check 'fifty agents, one after another' fifty_agents
check 'accepts at the same time' two_at_once
check 'both are mounted' mounted_both
check 'agents see what was accepted, and no more' isolation
check 'a change meets what came before it was committed' noted_at_the_change
check 'a change that was not committed meets nothing else' noted_without_need
check 'a mount over one version of the base' over_one_version
check 'a base that is gone' base_is_gone
finish
