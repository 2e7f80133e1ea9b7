# Shared by the tests of branches over a directory. Sourced, not run; after lib.sh.
# shellcheck shell=bash disable=SC2154,SC2164

# fresh_dir: $base, a filled directory, and $agent, a branch over it.
fresh_dir() {
	rm -rf --one-file-system "$base"
	rm -f "$scratch"/*.db*
	mkdir "$base"
	fill "$base"
	"$CAIRNFS_BIN" init "$agent" --base "$base" >/dev/null
}

# all_of DIR: all that can be seen of it but what cairnfs keeps there: attributes, times, link
# counts, bytes, extended attributes.
all_of() {
	(
		cd "$1"
		list_tree . | grep -v '^\.cairnfs[/ ]'
		find . -path ./.cairnfs -prune -o -type f -print0 | LC_ALL=C sort -z |
			xargs -0r sha256sum
		find . -path ./.cairnfs -prune -o -print0 | LC_ALL=C sort -z |
			xargs -0 getfattr -h -d -m user 2>/dev/null || true
	)
}

# in_mount DB: the same of what a branch shows.
in_mount() {
	mounted "$1" all_of "$mnt"
}

# change_more DIR: what an agent does, and some more.
change_more() {
	change "$1"
	(
		cd "$1"
		setfattr -n user.colour -v red keep
		! [ "$(id -u)" = 0 ] || chown 12001:12002 src/long
		! [ "$(id -u)" = 0 ] || mknod null c 1 3
		chmod 2770 src/lib
		mkfifo pipe
		truncate -s 100 src/nonl
		truncate -s 2500000 big
		mv big huge
		printf more >>huge
		echo changed >>hard1
		ln keep tree/kept
		ln tree/of/dirs/leaf tree/leaf
		mkdir -m 555 tree/closed
		touch -d 2001-02-03 tree/of/dirs/leaf src/a.c
	)
}
