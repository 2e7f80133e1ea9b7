#!/bin/bash
# The differential test over overlays: a random tree becomes the base, of one kind or another, and
# random operations go on over it, on an overlay and on a plain copy. Then the overlay is accepted,
# which makes its base what the copy is, and that is undone. TAP on stdout.
#
#	overlay.sh DIFFERENTIAL [OPS [ROUNDS]]
#
# To repeat a failure: SEED=N KINDS=KIND overlay.sh DIFFERENTIAL OPS
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/tap.sh
. "$here/../../scripts/tap.sh"

differential=$(realpath "$1")
ops=${2:-2000}
rounds=${3:-3}
: "${CAIRNFS_BIN:?names the program under test}"

# compare DIR WORKSPACE SEED OPS OPTIONS [ARGUMENT...]: on DIR/mount and DIR/plain, with remounts.
compare() {
	local dir=$1 workspace=$2 seed=$3 count=$4 status=0
	local mount="$CAIRNFS_BIN mount $workspace $dir/mount -o $5"
	shift 5

	$mount
	"$differential" --dir-a "$dir/mount" --dir-b "$dir/plain" --seed "$seed" --ops "$count" \
		--xattr --remount-every $((count / 4)) \
		--remount-cmd "$CAIRNFS_BIN umount $dir/mount && $mount" "$@" || status=$?
	"$CAIRNFS_BIN" umount "$dir/mount"
	[ "$status" = 0 ] && "$CAIRNFS_BIN" check "$workspace"
}

# sum_of BASE: all that must not change in it.
sum_of() {
	if [ -d "$1" ]; then
		(cd "$1" && find . -printf '%P %y %m %U:%G %s %T@ %C@ %l\n' | sort && tar c .) | sha256sum
	else
		sha256sum <"$1"
	fi
}

# shape WORKSPACE|DIR MOUNTPOINT: what an accept brings over: all but times.
shape() {
	local dir=$1

	[ -d "$1" ] || {
		dir=$2
		"$CAIRNFS_BIN" mount "$1" "$dir" -o xattr
	}
	(
		cd "$dir"
		find . -type d -printf '%P %y %m %U %G\n' -o -printf '%P %y %m %U %G %n %s %l\n' |
			LC_ALL=C sort
		find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum
		getfattr -R -h -d -m - . 2>/dev/null |
			awk '/^# file: / { name = $0; next } NF { print name, $0 }' | LC_ALL=C sort
	)
	[ "$dir" = "$1" ] || "$CAIRNFS_BIN" umount "$dir"
}

# accepted DIR BASE AGENT: the base becomes what DIR/plain is, and then again what DIR/kept is.
accepted() {
	shape "$1/plain" >"$1/want"
	"$CAIRNFS_BIN" accept "$3"
	"$CAIRNFS_BIN" check "$2"
	"$CAIRNFS_BIN" check "$3"
	shape "$2" "$1/mount" >"$1/now"
	same "$1/want" "$1/now"
	shape "$3" "$1/mount" >"$1/now"
	same "$1/want" "$1/now"
	[ "$("$CAIRNFS_BIN" diff "$3")" = 'No changes.' ]
	"$CAIRNFS_BIN" undo "$2"
	"$CAIRNFS_BIN" check "$2"
	shape "$1/kept" >"$1/want"
	shape "$2" "$1/mount" >"$1/now"
	same "$1/want" "$1/now"
}

# over KIND SEED: a base of this kind, then overlays over it, one after the other.
over() {
	local dir="$scratch/$1-$2" start base sum round
	# Copied whole and in part; what a commit takes over in one and what it finds done before.
	local options=("xattr" "xattr,copy_whole=1" "xattr,durability=commit"
		"xattr,commit_interval_ms=20,copy_whole=70000")

	mkdir -p "$dir/mount" "$dir/plain"
	start=$(date +%s)
	"$CAIRNFS_BIN" init "$dir/base.db"
	compare "$dir" "$dir/base.db" "$2" $((ops / 2)) xattr --grow
	base=$dir/base.db
	if [ "$1" = directory ]; then
		base=$dir/base
		cp -a "$dir/plain" "$base"
	elif [ "$1" = overlay ]; then
		"$CAIRNFS_BIN" init "$dir/middle.db" --base "$base"
		compare "$dir" "$dir/middle.db" $(($2 + 1)) $((ops / 8)) xattr --no-dir-nlink \
			--go-on "$start"
		base=$dir/middle.db
	fi
	mv "$dir/plain" "$dir/kept"
	sum=$(sum_of "$base")
	for ((round = 1; round <= rounds; round++)); do
		cp -a "$dir/kept" "$dir/plain"
		"$CAIRNFS_BIN" init "$dir/agent.db" --base "$base"
		compare "$dir" "$dir/agent.db" $(($2 + 1 + round)) "$ops" \
			"${options[round % ${#options[@]}]}" \
			--no-dir-nlink --go-on "$start"
		[ "$(sum_of "$base")" = "$sum" ]
		if [ "$1" != directory ]; then
			accepted "$dir" "$base" "$dir/agent.db"
			sum=$(sum_of "$base")
		fi
		rm -r "$dir/plain" "$dir/agent.db"
	done
}

scratch
random_seed=${SEED:-$(od -An -N6 -tu8 /dev/urandom | tr -d ' ')}
kinds=${KINDS:-workspace directory overlay}
for kind in $kinds; do
	will_mount "$scratch/$kind-$random_seed/mount" "$scratch/$kind-30/mount"
done
for kind in $kinds; do
	if [ -z "${SEED:-}" ]; then
		check "over a $kind, seed 30" over "$kind" 30
		echo "# to repeat the next one: SEED=$random_seed KINDS=$kind"
	fi
	check "over a $kind, seed $random_seed" over "$kind" "$random_seed"
done
finish
