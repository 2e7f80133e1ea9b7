# Shared by the tests of import and export: trees, what they come to, workspaces. Sourced, not run.
# shellcheck shell=bash

# shellcheck source=scripts/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/tap.sh"

cairnfs() {
	"$CAIRNFS_BIN" "$@"
}

# refused STATUS WORDS COMMAND...: fails with that status and says so.
refused() {
	local want=$1 words=$2 status=0

	shift 2
	"$@" >"$scratch/out" 2>"$scratch/err" || status=$?
	cat "$scratch/err"
	[ "$status" -eq "$want" ]
	grep -qF -- "$words" "$scratch/err"
}

# absent PATTERN FILE: no line of it matches.
absent() {
	if grep -e "$1" "$2"; then
		return 1
	fi
}

is_root() {
	[ "$(id -u)" -eq 0 ]
}

# make_tree DIR: one of everything.
make_tree() (
	local long i path

	mkdir "$1"
	cd "$1" || exit
	long=$(printf 'l%.0s' {1..255})
	mkdir -p dir/sub empty modes "$long" $'bad\xff\xfedir'
	echo text >dir/file
	: >dir/zero
	head -c 3000001 /dev/urandom >dir/large
	echo odd >$'bad\xff\xfedir/n\xe9w\nline\ttab'
	echo long >"$long/$long"
	echo accents >'été-値'
	ln dir/large dir/sub/hard
	ln dir/file 'hard too'
	ln -s file dir/link
	ln -s /nowhere/at/all dangling
	ln -s "$(printf 'x%.0s' {1..4000})" dir/longlink
	mkfifo dir/fifo
	truncate -s 20M sparse-end
	dd if=/dev/urandom of=sparse-middle bs=64K seek=10 count=1 status=none
	truncate -s 3M sparse-middle
	printf 'start' >sparse-start
	truncate -s 5M sparse-start
	for i in 0000 0444 0755 1777 2755 4711; do
		echo "$i" >"modes/$i"
		chmod "$i" "modes/$i"
	done
	is_root || chmod 0400 modes/0000
	path=deep
	for i in {1..40}; do
		path=$path/d$i
	done
	mkdir -p "$path"
	echo bottom >"$path/file"
	setfattr -n user.plain -v value dir/file
	setfattr -n user.binary -v 0x00ff0a3d dir/file
	setfattr -n 'user.odd name=%41' -v 1 dir/large
	setfattr -n user.dir -v d dir/sub
	setfattr -n user.empty dir/zero
	if is_root; then
		mknod dir/null c 1 3
		mknod dir/loop b 7 200
		chown 1234:5678 dir/file modes/0755
		chown -h 4321:8765 dangling
		chown 77:88 dir/sub
		chmod 6755 modes/0755
		setfattr -n trusted.t -v secret dir/file
		setfattr -h -n trusted.t -v link dangling
	fi
	chmod 2750 dir/sub
	chmod 0555 empty
	touch -d '2001-02-03 04:05:06.123456789' dir/file dir/sub
	touch -h -d '1999-12-31 23:59:59.999999999' dangling
	touch -d '2011-11-11 11:11:11.111111111' .
)

# describe DIR: all there is to be said about a tree.
describe() (
	cd "$1" || exit
	find . \( -type d -printf '%P\t%y %m %U %G %T@\0' \) -o \
		-printf '%P\t%y %m %U %G %n %s %T@ %l\0' | LC_ALL=C sort -z | tr '\0' '\n'
	find . -type c,b -exec stat -c '%n %t:%T' {} + | LC_ALL=C sort
	find . -type f -perm -400 -exec sha256sum -z {} + | LC_ALL=C sort -z | tr '\0' '\n'
	find . ! -type l -exec getfattr -h -d -m '^(user|trusted)\.' -e hex {} + 2>/dev/null |
		LC_ALL=C sort
	find . -type l -exec getfattr -h -d -m '^trusted\.' -e hex {} + 2>/dev/null | LC_ALL=C sort
)

# equal DIR DIR
equal() {
	describe "$1" >"$scratch/one"
	describe "$2" >"$scratch/two"
	[ -s "$scratch/one" ]
	same "$scratch/one" "$scratch/two"
}

# few_blocks DIR: the sparse files still are.
few_blocks() {
	local file

	for file in sparse-end sparse-middle sparse-start; do
		[ "$(stat -c %b "$1/$file")" -le 260 ] || {
			echo "$file has $(stat -c %b "$1/$file") blocks"
			return 1
		}
	done
}

# fresh: a new workspace $db, not mounted.
fresh() {
	release "$mnt"
	db="$scratch/work$tap_count-$RANDOM.db"
	cairnfs init "$db" >/dev/null
}

mounted() {
	cairnfs mount "$db" "$mnt" "$@"
}

unmounted() {
	cairnfs umount "$mnt"
	cairnfs check "$db"
}

# gone DIR: removes a tree that may not want to go.
gone() {
	chmod -R u+rwX "$1" 2>/dev/null || true
	rm -rf "$1"
}

out() {
	local dir="$scratch/out-$RANDOM"

	gone "$dir"
	echo "$dir"
}

# prepare: the scratch directory, a place to mount on, and one of everything in $tree.
prepare() {
	scratch
	mnt="$scratch/mnt"
	mkdir "$mnt"
	will_mount "$mnt" "$scratch/home/mnt"
	chmod 755 "$scratch"
	tree="$scratch/tree"
	make_tree "$tree"
}
