#!/bin/bash
# cairnfs accept and undo where the base is a directory. TAP on stdout.
# What `with` runs is expanded there.
# shellcheck disable=SC2016
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/tap.sh
. "$here/../../scripts/tap.sh"
# shellcheck source=tests/branch/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/branch/dir.sh
. "$here/dir.sh"
: "${CAIRNFS_BIN:?names the program under test}"

cairnfs() {
	"$CAIRNFS_BIN" "$@"
}

lines() {
	wc -l <"$1"
}

# is FILE: the base is as it was listed there.
is() {
	all_of "$base" >"$scratch/now"
	same "$1" "$scratch/now"
}

before() {
	all_of "$base" >"$scratch/before"
}

nothing_left() {
	[ ! -e "$base/.cairnfs/journal" ]
	[ ! -e "$base/.cairnfs/journal.back" ]
	[ ! -e "$base/.cairnfs/kept" ] || [ -z "$(ls -A "$base/.cairnfs/kept")" ]
}

# refused WORDS COMMAND...: it fails with one line that has the words, and changes nothing.
refused() {
	local words=$1

	shift
	before
	not "$@" 2>"$scratch/err"
	cat "$scratch/err"
	[ "$(lines "$scratch/err")" = 1 ]
	grep -F -- "$words" "$scratch/err"
	is "$scratch/before"
	nothing_left
}

round_trip() {
	fresh_dir
	before
	mounted "$agent" change_more "$mnt"
	in_mount "$agent" >"$scratch/branch"
	cairnfs accept "$agent"
	is "$scratch/branch"
	[ "$(cairnfs diff "$agent")" = 'No changes.' ]
	[ "$(sqlite3 "$agent" 'SELECT COUNT(*) FROM fs_inode')" = 1 ]
	sound "$agent"
	in_mount "$agent" >"$scratch/now"
	same "$scratch/branch" "$scratch/now"
	cp "$scratch/branch" "$scratch/after"
}

undone() {
	cairnfs undo "$base" --dry-run
	is "$scratch/after"
	cairnfs undo "$base"
	is "$scratch/before"
}

redone() {
	cairnfs undo "$base" 2
	is "$scratch/after"
	cairnfs undo --list "$base" | tee "$scratch/list"
	[ "$(lines "$scratch/list")" = 3 ]
	not cairnfs undo "$base" 2
	cairnfs undo "$base" 3
	is "$scratch/before"
	cairnfs undo "$base" 4 --json | jq -e '.undone == 4 and .undo == 5'
	is "$scratch/after"
}

rename_copies_nothing() {
	local docs big

	fresh_dir
	docs=$(stat -c %i "$base/docs") big=$(stat -c %i "$base/big")
	with "$agent" 'mv docs documents; mv big src/huge'
	cairnfs accept "$agent"
	[ "$(stat -c %i "$base/documents" "$base/src/huge")" = "$docs"$'\n'"$big" ]
	nothing_left
}

# A reader has the old file or the new one, and a program that runs keeps its own.
replaced_as_a_whole() {
	fresh_dir
	with "$agent" 'echo new >keep; printf y | dd of=big bs=1 seek=2000000 conv=notrunc status=none'
	exec 5<"$base/keep"
	cairnfs accept "$agent"
	[ "$(cat <&5)" = keep ]
	[ "$(cat "$base/keep")" = new ]
	[ "$(tr -d x <"$base/big")" = y ]
	[ "$(stat -c %s "$base/big")" = 3000000 ]
}

hard_links() {
	fresh_dir
	ln "$base/src/nonl" "$base/nonl2"
	before
	with "$agent" 'echo changed >hard1; ln src/a.c src/b.c; ln keep keep2; echo k >keep2; rm nonl2
		rm mode; ln s1 mode; mv s2 s4; ln s4 s5'
	in_mount "$agent" >"$scratch/branch"
	cairnfs accept "$agent"
	[ "$(cat "$base/hard2")" = changed ]
	[ "$base/hard1" -ef "$base/hard2" ]
	[ "$base/src/a.c" -ef "$base/src/b.c" ]
	[ "$base/keep" -ef "$base/keep2" ]
	[ "$base/s1" -ef "$base/mode" ]
	[ "$base/s4" -ef "$base/s5" ]
	[ "$(cat "$base/keep")" = k ]
	is "$scratch/branch"
	cairnfs undo "$base"
	is "$scratch/before"
	cairnfs undo "$base" 2
	is "$scratch/branch"
	[ "$base/hard1" -ef "$base/hard2" ]
	[ "$base/src/a.c" -ef "$base/src/b.c" ]
	cairnfs undo "$base" 3
	is "$scratch/before"
}

paths() {
	fresh_dir
	with "$agent" 'echo 1 >src/new; mkdir -p a/b/c; echo 2 >a/b/c/d; echo 3 >a/b/e; echo x >keep'
	cairnfs accept "$agent" a/b/c/d src
	[ "$(cat "$base/src/new" "$base/a/b/c/d" "$base/keep")" = $'1\n2\nkeep' ]
	[ ! -e "$base/a/b/e" ]
	with "$agent" '[ "$(cat src/new a/b/c/d a/b/e keep)" = "$(printf "1\n2\n3\nx")" ]'
	[ "$(cairnfs diff "$agent" --name-status)" = $'A\ta/b/e\nM\tkeep' ]
	cairnfs accept "$agent"
	[ "$(cat "$base/a/b/e" "$base/keep")" = $'3\nx' ]
}

parts_of_one_change() {
	fresh_dir
	with "$agent" 'mv docs documents; echo more >>documents/d; rm documents/medium; mv deep/a/b up; rm -r deep
		mv s2 z; mv s1 s2'
	not cairnfs accept "$agent" documents/d 2>"$scratch/err"
	grep -F 'parts of one change' "$scratch/err"
	cairnfs accept "$agent" deep
	[ "$(cat "$base/up/f")" = deep ]
	[ ! -e "$base/deep" ]
	cairnfs accept "$agent" documents
	[ "$(cat "$base/documents/d")" = $'doc\nmore' ]
	cairnfs accept "$agent"
	[ "$(cat "$base/s2" "$base/z")" = $'swap1\nswap2' ]
	[ ! -e "$base/s1" ]
}

# Directories that change places, one of them in the other.
directories_swap() {
	fresh_dir
	before
	with "$agent" 'mv src t; mv docs src; mv t docs; echo 1 >src/d; echo 2 >docs/a.c; rm docs/bin
		mkdir new; mv docs new/docs; mv new/docs/lib .; rmdir empty; mv new empty
		rm -r old; mkdir old; echo x >old/3'
	in_mount "$agent" >"$scratch/branch"
	cairnfs accept "$agent"
	is "$scratch/branch"
	cairnfs undo "$base"
	is "$scratch/before"
	cairnfs undo "$base" 2
	is "$scratch/branch"
	cairnfs undo "$base" 3
	is "$scratch/before"
}

diverge() {
	fresh_dir
	with "$agent" 'echo mine >keep; rm mode; mv s1 moved; echo mine >both; rm -r old
		echo deeper >deep/a/b/f; mkdir type; echo x >type/x; echo fine >src/nonl
		printf z | dd of=big bs=1 seek=5 conv=notrunc status=none'
	(
		cd "$base"
		echo theirs >keep
		chmod 600 mode
		echo theirs >s1
		echo theirs >both
		echo 3 >old/3
		rm deep/a/b/f
		echo file >"./type"
		printf y | dd of=big bs=1 seek=9 conv=notrunc status=none
	)
}

conflicts() {
	diverge
	before
	in_mount "$agent" >"$scratch/agent.before"
	not cairnfs accept "$agent" 2>"$scratch/err"
	sed '$d; s/:.*//' "$scratch/err" | LC_ALL=C sort >"$scratch/paths"
	same <(printf '%s\n' big both deep/a/b/f keep mode moved old type) "$scratch/paths"
	is "$scratch/before"
	in_mount "$agent" >"$scratch/now"
	same "$scratch/agent.before" "$scratch/now"
	cairnfs accept "$agent" src --dry-run >"$scratch/out"
	grep -F 'src/nonl (content)' "$scratch/out"
	not cairnfs accept "$agent" --dry-run --json >"$scratch/json"
	jq -e '.accepted == 0 and (.conflicts | length) == 8' "$scratch/json"
	is "$scratch/before"
}

preserve() {
	diverge
	cairnfs accept "$agent" --strategy=preserve >"$scratch/out"
	grep -F 'changes left in the branch' "$scratch/out"
	[ "$(cd "$base" && cat keep both s1 src/nonl)" = $'theirs\ntheirs\ntheirs\nfine' ]
	[ -e "$base/mode" ]
	[ -e "$base/old/3" ]
	[ ! -e "$base/deep/a/b/f" ]
	[ -f "$base/type" ]
	with "$agent" '[ "$(cat keep both deep/a/b/f type/x src/nonl)" = \
		"$(printf "mine\nmine\ndeeper\nx\nfine")" ]; [ ! -e mode ]; [ -e moved ]'
}

overwrite() {
	diverge
	before
	cairnfs accept "$agent" --force
	[ "$(cd "$base" && cat keep both deep/a/b/f type/x)" = $'mine\nmine\ndeeper\nx' ]
	[ ! -e "$base/mode" ]
	[ ! -e "$base/old" ]
	[ ! -e "$base/s1" ]
	[ -e "$base/moved" ]
	[ "$(head -c 10 "$base/big")" = xxxxxzxxxx ]
	cairnfs undo "$base"
	is "$scratch/before"
}

# Also what an accept that was killed before it could tell the branch has made equal.
equal_bytes() {
	fresh_dir
	with "$agent" 'echo same >keep; echo same >new; rm mode; ln -sf x link; mv docs documents'
	cp "$agent" "$scratch/kept.db"
	cairnfs accept "$agent"
	mv "$scratch/kept.db" "$agent"
	cairnfs accept "$agent"
	[ "$(cairnfs diff "$agent")" = 'No changes.' ]
	[ "$(cairnfs undo "$base" --list | wc -l)" = 1 ]
}

undo_refuses() {
	fresh_dir
	with "$agent" 'echo 1 >keep; mkdir made; echo 2 >made/in; setfattr -n user.a -v b src; rm mode
		echo 1 >s1; mv s2 moved'
	cairnfs accept "$agent"
	(
		cd "$base"
		sed -i s/1/later/ keep
		echo later >made/later
		echo other >other
		setfattr -n user.a -v c src
		echo back >mode
		rm s1
		chmod 600 moved
	)
	not cairnfs undo "$base" 2>"$scratch/err"
	sed '$d; s/: changed since$//' "$scratch/err" | LC_ALL=C sort >"$scratch/paths"
	same <(printf '%s\n' keep made/later mode moved s1 src) "$scratch/paths"
	cairnfs undo "$base" --force
	[ "$(cd "$base" && cat made/later other keep mode s1 s2)" = \
		$'later\nother\nkeep\nmode\nswap1\nswap2' ]
	[ ! -e "$base/made/in" ]
	[ ! -e "$base/moved" ]
	not getfattr -n user.a "$base/src"
	# What was in the way is not lost.
	cairnfs undo "$base" 2 --force
	[ "$(cd "$base" && cat made/later made/in keep mode moved)" = \
		$'later\n2\nlater\nback\nswap2' ]
}

undo_among_others() {
	fresh_dir
	cairnfs init "$scratch/b.db" --base "$base"
	with "$agent" 'echo 1 >src/a1; rm -r old'
	with "$scratch/b.db" 'echo 2 >src/a2'
	cairnfs accept "$agent"
	cairnfs accept "$scratch/b.db"
	cairnfs undo "$base" 1
	[ "$(cd "$base" && cat src/a2 old/1 old/2)" = $'2\n1\n2' ]
	[ ! -e "$base/src/a1" ]
}

# One over the other, taken back from the top.
undo_in_turn() {
	fresh_dir
	cairnfs init "$scratch/b.db" --base "$base"
	before
	with "$agent" 'echo 1 >keep; mv docs documents; echo 1 >documents/d'
	cairnfs accept "$agent"
	all_of "$base" >"$scratch/first"
	with "$scratch/b.db" 'echo 2 >keep; mv documents papers; mv s1 papers'
	cairnfs accept "$scratch/b.db"
	not cairnfs undo "$base" 1 2>"$scratch/err"
	grep -F 'keep: changed since' "$scratch/err"
	cairnfs undo "$base" 2
	is "$scratch/first"
	cairnfs undo "$base" 1
	is "$scratch/before"
}

two_at_once() {
	local i

	fresh_dir
	for i in 1 2 3 4; do
		cairnfs init "$scratch/$i.db" --base "$base"
		with "$scratch/$i.db" "for n in \$(seq 100); do echo $i >$i-\$n; done; echo $i >one"
	done
	for i in 1 2 3 4; do
		cairnfs accept "$scratch/$i.db" --strategy=preserve &
	done
	wait
	[ "$(find "$base" -maxdepth 1 -name "[1-4]-*" | wc -l)" = 400 ]
	[ -f "$base/one" ]
	[ "$(cairnfs undo "$base" --list | wc -l)" = 4 ]
	nothing_left
}

# The folder is never to be seen, and nobody can come there by a branch.
hidden() {
	fresh_dir
	with "$agent" 'echo x >keep'
	cairnfs accept "$agent"
	[ "$(stat -c %a "$base/.cairnfs")" = 700 ]
	with "$agent" '[ ! -e .cairnfs ]; [ -z "$(ls -A | grep cairnfs)" ]; mkdir .cairnfs; echo x >.cairnfs/lock'
	not cairnfs accept "$agent" 2>"$scratch/err"
	[ "$(lines "$scratch/err")" = 1 ]
	grep -F .cairnfs "$scratch/err"
	cairnfs reset "$agent" .cairnfs
	[ "$(cairnfs diff "$agent")" = 'No changes.' ]
}

# A link in the place of a directory leads nowhere.
no_way_out() {
	local outside=$scratch/outside

	rm -rf "$outside"
	fresh_dir
	mkdir -p "$outside/lib"
	echo theirs >"$outside/a.c"
	all_of "$outside" >"$scratch/outside.before"
	with "$agent" 'echo mine >src/a.c; echo mine >src/lib/new; mv keep src/kept; rm src/bin'
	mv "$base/src" "$base/src.away"
	ln -s "$outside" "$base/src"
	before
	not cairnfs accept "$agent"
	is "$scratch/before"
	cairnfs accept "$agent" --force || true
	all_of "$outside" >"$scratch/now"
	same "$scratch/outside.before" "$scratch/now"
}

# What somebody else has written in the folder is not believed.
hostile() {
	local line head='{"version":1,"id":2,"time":1,"changes":1,"of":0,"source":"/x","steps":1,"notes":0}'

	fresh_dir
	echo outside >"$scratch/outside-file"
	with "$agent" 'echo x >keep'
	cairnfs accept "$agent"
	with "$agent" 'echo y >keep'
	for line in \
		'{"step":"put","path":"/../escaped","file":"1-1","ino":1,"was_ino":0}' \
		'{"step":"put","path":"/a/%2e%2e/../x","file":"1-1","ino":1,"was_ino":0}' \
		'{"step":"put","path":"escaped","file":"1-1","ino":1,"was_ino":0}' \
		'{"step":"put","path":"/a%00b","file":"1-1","ino":1,"was_ino":0}' \
		'{"step":"put","path":"/.cairnfs/lock","file":"1-1","ino":1,"was_ino":0}' \
		'{"step":"take","path":"/keep","file":"../../../outside-file","ino":1,"was_ino":0}' \
		'{"step":"take","path":"/keep","ino":1,"was_ino":0}' \
		'{"step":"write","path":"/keep","file":"1-1","from":"/etc/passwd","old":"1-1","ino":1,"was_ino":0}' \
		'{"step":"attr","path":"/keep","ino":1,"was_ino":0,"is":{"mode":1e9},"was":{}}' \
		'{"step":"burn","path":"/keep","ino":1,"was_ino":0}' \
		'[[[' '{"step":'; do
		printf '%s\n%s\n' "$head" "$line" >"$base/.cairnfs/journal"
		before
		not cairnfs accept "$agent" 2>"$scratch/err"
		[ "$(lines "$scratch/err")" = 1 ]
		grep -F 'is damaged' "$scratch/err"
		is "$scratch/before"
	done
	[ ! -e "$scratch/escaped" ]
	# A head that says nothing wrong, and is longer than any.
	printf '{"version":1,"id":2,"time":1,"changes":0,"of":0,"source":"/x","steps":0,%s"notes":0}\n' \
		"$(head -c 100000 /dev/zero | tr '\0' ' ')" >"$base/.cairnfs/journal"
	before
	not cairnfs accept "$agent" 2>"$scratch/err"
	grep -F 'is damaged' "$scratch/err"
	is "$scratch/before"
	rm "$base/.cairnfs/journal"
	cairnfs accept "$agent"
	mv "$base/.cairnfs" "$scratch/elsewhere"
	ln -s "$scratch/elsewhere" "$base/.cairnfs"
	not cairnfs undo "$base"
	rm "$base/.cairnfs"
	rm -r "$scratch/elsewhere"
}

cleaned() {
	fresh_dir
	with "$agent" 'echo a >keep'
	cairnfs accept "$agent" --dry-run
	not cairnfs undo "$base"
	[ ! -e "$base/.cairnfs" ]
	cairnfs reset "$agent" keep
	with "$agent" 'echo x >keep; rm -r old'
	cairnfs accept "$agent"
	cairnfs gc "$base"
	[ "$(cairnfs undo "$base" --list | wc -l)" = 1 ]
	cairnfs gc "$base" --older-than=0 --dry-run
	[ "$(cairnfs undo "$base" --list | wc -l)" = 1 ]
	cairnfs gc "$base" --older-than=0
	nothing_left
	not cairnfs undo "$base"
	with "$agent" 'echo y >keep'
	cairnfs accept "$agent" | tee "$scratch/out"
	grep -F "$base 2" "$scratch/out"
}

# Mounts over the directory show it, and another branch keeps what is its own.
mounted_over() {
	local a=$scratch/agent-mnt b=$scratch/b-mnt

	fresh_dir
	cairnfs init "$scratch/b.db" --base "$base"
	mkdir -p "$a" "$b"
	cairnfs mount "$agent" "$a" -o commit_interval_ms=60000
	cairnfs mount "$scratch/b.db" "$b"
	ls -R "$b" >/dev/null
	echo a >"$a/keep"
	rm "$a/mode"
	mv "$a/docs" "$a/documents"
	echo a >"$a/src/new"
	echo b >"$b/s1"
	sync "$b/s1"
	[ "$(cat "$b/keep" "$b/docs/d")" = $'keep\ndoc' ]
	cairnfs accept "$agent"
	for _ in $(seq 100); do
		[ ! -e "$b/mode" ] && [ "$(cat "$b/keep")" = a ] && [ -e "$b/documents" ] && break
		sleep 0.1
	done
	[ "$(cat "$b/keep" "$b/documents/d" "$b/src/new" "$b/s1")" = $'a\ndoc\na\nb' ]
	[ ! -e "$b/docs" ]
	[ ! -e "$b/mode" ]
	[ "$(cat "$a/keep" "$a/documents/d" "$a/src/new" "$a/s1")" = $'a\ndoc\na\nswap1' ]
	cairnfs undo "$base"
	for _ in $(seq 100); do
		[ -e "$b/mode" ] && [ "$(cat "$b/keep")" = keep ] && [ -e "$b/docs" ] && break
		sleep 0.1
	done
	[ "$(cat "$b/keep" "$b/docs/d" "$b/s1")" = $'keep\ndoc\nb' ]
	[ ! -e "$b/documents" ]
	cairnfs umount "$a"
	cairnfs umount "$b"
}

fifty_agents() {
	local i

	fresh_dir
	for i in $(seq 50); do
		cairnfs init "$scratch/$i.db" --base "$base" >/dev/null
		with "$scratch/$i.db" "[ ! -e own-1 ]; echo $i >own-$i; echo $i >shared; echo $i >>src/a.c"
	done
	cairnfs accept "$scratch/1.db"
	for i in $(seq 2 50); do
		not cairnfs accept "$scratch/$i.db" 2>"$scratch/err"
		[ "$(lines "$scratch/err")" = 3 ]
		grep -q '^shared: ' "$scratch/err"
		grep -q '^src/a.c: ' "$scratch/err"
		cairnfs accept "$scratch/$i.db" --strategy=preserve >/dev/null
	done
	[ "$(cat "$base/shared" "$base/own-33")" = $'1\n33' ]
	[ "$(find "$base" -maxdepth 1 -name 'own-*' | wc -l)" = 50 ]
	with "$scratch/7.db" '[ "$(cat shared own-33)" = "$(printf "7\n33")" ]'
}

# From here on as root, who can make file systems and be somebody else.

# as_user COMMAND...: as one who owns the base and the branch.
as_user() {
	setpriv --reuid=12345 --regid=12345 --clear-groups -- "$CAIRNFS_BIN" "$@"
}

# for_user: what was made belongs to that user.
for_user() {
	chmod 755 "$scratch"
	chown 12345:12345 "$scratch"
	chown -hR 12345:12345 "$base" "$agent"*
}

unprivileged() {
	fresh_dir
	mkdir -m 555 "$base/closed"
	mkdir "$base/closed/in"
	for_user
	before
	with "$agent" 'echo x >keep; mv docs documents; rm -r old closed; mkdir new; echo y >new/z
		mkdir -m 555 locked; chown 1:1 mode; chmod 711 deep; rm hard2; chown -R 12345:12345 new locked
		mv src/lib .; rm -r deep/a'
	chown 12345:12345 "$agent"*
	as_user accept "$agent" | tee "$scratch/out"
	grep -F 'The owner of 1 file' "$scratch/out"
	[ "$(stat -c '%U %u' "$base/mode" "$base/keep" | sort -u | wc -l)" = 1 ]
	[ "$(stat -c '%u %a' "$base/locked")" = '12345 555' ]
	[ "$(cat "$base/keep" "$base/new/z" "$base/documents/d")" = $'x\ny\ndoc' ]
	[ ! -e "$base/closed" ]
	[ -d "$base/lib" ]
	as_user undo "$base"
	is "$scratch/before"
	as_user undo "$base" 2
	[ ! -e "$base/closed" ]
	as_user undo "$base" 3
	is "$scratch/before"
	as_user gc "$base" --older-than=0
	nothing_left
}

# A step that the host refuses: all that was done before it is taken back.
unprivileged_refused() {
	fresh_dir
	for_user
	chown root:root "$base/src"
	with "$agent" 'mv docs documents; echo x >keep; rm -r old; echo mine >src/nonl; mv s1 s2; echo 1 >hard1'
	chown 12345:12345 "$agent"*
	refused src/nonl as_user accept "$agent"
	chown 12345:12345 "$base/src"
	as_user accept "$agent"
	[ "$(cat "$base/src/nonl" "$base/documents/d" "$base/s2")" = $'mine\ndoc\nswap1' ]
	with "$agent" 'mknod dev c 1 3; echo y >keep'
	chown 12345:12345 "$agent"*
	not as_user accept "$agent" 2>"$scratch/err"
	grep -F "'dev' cannot be accepted: only root may make a device" "$scratch/err"
	[ "$(cat "$base/keep")" = x ]
	as_user accept "$agent" keep
	[ "$(cat "$base/keep")" = y ]
	not cairnfs undo "$base" 2>"$scratch/err"
	[ "$(lines "$scratch/err")" = 1 ]
	grep -F "another user's" "$scratch/err"
	echo >"$base/.cairnfs/journal"
	cairnfs diff "$agent" 2>"$scratch/err"
	grep -F "cairnfs undo --list $base" "$scratch/err"
	rm "$base/.cairnfs/journal"
	chown -R root:root "$base/.cairnfs"
	not as_user undo "$base" 2>"$scratch/err"
	[ "$(lines "$scratch/err")" = 1 ]
}

read_only() {
	fresh_dir
	with "$agent" 'echo x >keep'
	mount --bind "$base" "$base"
	mount -o remount,bind,ro "$base"
	refused 'read-only' cairnfs accept "$agent"
	umount "$base"
	[ ! -e "$base/.cairnfs" ]
	for_user
	chown root:root "$base"
	refused 'Permission denied' as_user accept "$agent"
}

other_file_system() {
	fresh_dir
	mount -t tmpfs tmpfs "$base/empty"
	echo in >"$base/empty/in"
	mkdir "$base/empty/dir"
	with "$agent" 'echo x >keep; echo changed >empty/in'
	refused empty/in cairnfs accept "$agent"
	cairnfs reset "$agent" empty
	with "$agent" 'echo new >empty/dir/new'
	refused empty/dir/new cairnfs accept "$agent"
	cairnfs reset "$agent" empty
	umount "$base/empty"
	with "$agent" 'rm -r deep'
	mount -t tmpfs tmpfs "$base/deep/a/b"
	not cairnfs accept "$agent" --force 2>"$scratch/err"
	grep -F "'deep' cannot be accepted: something is mounted in it" "$scratch/err"
	[ "$(cat "$base/keep")" = keep ]
	umount "$base/deep/a/b"
	cairnfs accept "$agent"
	[ "$(cat "$base/keep")" = x ]
	[ ! -e "$base/deep" ]
}

disk_full() {
	fresh_dir
	mount -t tmpfs -o size=4M tmpfs "$base"
	fill "$base"
	with "$agent" 'echo x >keep; rm -r old; head -c 2000000 /dev/urandom >new; printf z >>big'
	refused 'No space left' cairnfs accept "$agent"
	cairnfs accept "$agent" keep old
	[ "$(cat "$base/keep")" = x ]
	umount "$base"
}

scratch
mnt=$scratch/mnt
base=$scratch/base
agent=$scratch/agent.db
will_mount "$mnt" "$scratch/agent-mnt" "$scratch/b-mnt" "$base/empty" "$base/deep/a/b" "$base"
check 'the base becomes what the branch was' round_trip
check 'undo restores it exactly' undone
check 'an undo can be taken back, and that' redone
check 'what is renamed is not copied' rename_copies_nothing
check 'a file is replaced as a whole' replaced_as_a_whole
check 'hard links' hard_links
check 'paths choose what is accepted, with the directories above' paths
check 'what belongs together is accepted together' parts_of_one_change
check 'directories that change places' directories_swap
check 'conflicts are named, and nothing is done' conflicts
check '--strategy=preserve leaves what conflicts in the branch' preserve
check '--force, and its undo' overwrite
check 'what is equal by now is no conflict' equal_bytes
check 'undo says what has changed since' undo_refuses
check 'undo leaves what others accepted' undo_among_others
check 'one undo after another' undo_in_turn
check 'accepts at the same time' two_at_once
check 'the folder is hidden' hidden
check 'no link leads out' no_way_out
check 'a hostile journal' hostile
check 'gc drops old records' cleaned
check 'mounts over the directory show it' mounted_over
check 'fifty agents, one after another' fifty_agents
if [ "$(id -u)" = 0 ]; then
	check 'an ordinary user' unprivileged
	check 'a step that is refused takes all back' unprivileged_refused
	check 'a base that is read-only' read_only
	check 'another file system in the base' other_file_system
	check 'a full disk' disk_full
fi
finish
