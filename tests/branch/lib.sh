# Shared by the tests of branches: a base of either kind, a branch over it, and a set of changes.
# Sourced, not run; after scripts/tap.sh.
# shellcheck shell=bash disable=SC2016,SC2154,SC2164

# not COMMAND...: it fails. (A "!" in its place would hide that it does not from errexit.)
not() {
	if "$@"; then
		return 1
	fi
}

# mounted WORKSPACE COMMAND...: runs it with the workspace mounted on $mnt.
mounted() {
	local db=$1 status=0

	shift
	mkdir -p "$mnt"
	"$CAIRNFS_BIN" mount "$db" "$mnt" -o xattr
	"$@" || status=$?
	"$CAIRNFS_BIN" umount "$mnt"
	return "$status"
}

# fill DIR: what a base holds.
fill() {
	(
		cd "$1"
		mkdir -p src/lib docs/img old empty deep/a/b
		printf 'one\ntwo\nthree\n' >src/a.c
		seq 1 2000 >src/long
		printf 'no newline' >src/nonl
		printf '\0\1\2binary' >src/bin
		head -c 3000000 /dev/zero | tr '\0' 'x' >big
		seq 1 25000 >docs/medium
		echo doc >docs/d
		echo img >docs/img/i
		echo 1 >old/1
		echo 2 >old/2
		echo keep >keep
		echo mode >mode
		echo 'with space' >'a name'
		echo umlaut >$'\xc3\xa4'
		ln -s src/a.c link
		echo h >hard1
		ln hard1 hard2
		echo swap1 >s1
		echo swap2 >s2
		echo type >file-to-dir
		mkdir dir-to-file
		echo in >dir-to-file/in
		echo deep >deep/a/b/f
		echo gone >deep/a/gone
		chmod 750 src/lib
		find . -exec touch -h -d '2024-01-02 03:04:05.678901234' {} +
	)
}

# change DIR: what an agent does.
change() {
	(
		cd "$1"
		printf 'one\n2\nthree\n' >src/a.c
		sed -i 's/^1000$/a thousand/' src/long
		printf 'still none' >src/nonl
		printf '\0\3\2binary' >src/bin
		printf 'here' | dd of=big bs=1 seek=2000000 conv=notrunc status=none
		echo more >>docs/medium
		mv docs documents
		mv documents/d documents/e
		rm -r old
		chmod 755 mode
		touch keep
		cat src/a.c >src/lib/new.c
		mkdir -p tree/of/dirs
		echo leaf >tree/of/dirs/leaf
		: >tree/empty-file
		rm link
		ln -s src/long link
		ln -s nowhere new-link
		mv 'a name' 'another name'
		echo changed >>$'\xc3\xa4'
		mv s1 s3
		mv s2 s1
		mv s3 s2
		rm file-to-dir
		mkdir file-to-dir
		echo inside >file-to-dir/x
		rm -r dir-to-file
		echo flat >dir-to-file
		mv deep/a/b up
		rm -r deep
		rm -r empty
		mkdir empty
		echo full >empty/not
		echo two names >n1
		ln n1 n2
	)
}

# content DIR: what a patch can carry: files, links, and who may be executed.
content() {
	(
		cd "$1"
		find . -type f -perm /111 -printf '%P x\n' -o -type f -printf '%P f\n' -o \
			-type l -printf '%P -> %l\n' | LC_ALL=C sort
		find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
	)
}

# make_base KIND: $base, filled: a directory or a workspace.
make_base() {
	base=$scratch/base-$1
	case $1 in
	directory)
		mkdir "$base"
		fill "$base"
		;;
	workspace)
		base=$base.db
		"$CAIRNFS_BIN" init "$base"
		mounted "$base" fill "$mnt"
		;;
	esac
}

# copy_of DB|DIR TO: a plain copy of what it shows.
copy_of() {
	mkdir -p "$2"
	if [ -d "$1" ]; then
		cp -a "$1/." "$2/"
	else
		mounted "$1" cp -a "$mnt/." "$2/"
	fi
}

# tree DB: all that can be seen of it: attributes, times, bytes, extended attributes.
tree() {
	show() {
		list_tree "$mnt"
		(
			cd "$mnt"
			find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
			getfattr -R -h -d -m user . 2>/dev/null
		)
	}
	mounted "$1" show
}

sound() {
	"$CAIRNFS_BIN" check "$1"
}

# fresh: $base, a filled workspace, and $agent, a branch over it.
fresh() {
	rm -f "$scratch"/*.db*
	"$CAIRNFS_BIN" init "$base"
	mounted "$base" fill "$mnt"
	"$CAIRNFS_BIN" init "$agent" --base "$base"
}

# with DB COMMAND: in a mount of it, with the mount as working directory.
with() {
	local db=$1 command=$2

	mounted "$db" bash -euc 'cd "$0"; eval "$1"' "$mnt" "$command"
}
