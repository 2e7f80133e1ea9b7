#!/bin/bash
# What cairnfs diff may cost: memory, however large the files are. TAP on stdout.
# shellcheck disable=SC2016 # what `with` gets is for its shell
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

# within MIB COMMAND...: it gets no more address space than that.
within() {
	(
		ulimit -v $(($1 * 1024))
		shift
		"$@"
	)
}

big_base() {
	mkdir "$base"
	truncate -s 512M "$base/huge"
	seq 1 6000000 >"$base/log"
	head -c 1500000 /dev/zero | tr '\0' '\n' >"$base/lines"
	seq 1 6000000 >"$base/gone"
	echo small >"$base/small"
	seq 1 5000000 >"$base/moves"
	cairnfs init "$agent" --base "$base"
	with "$agent" 'printf here | dd of=huge bs=1 seek=350000001 conv=notrunc status=none
		sed -i "s/^3000000$/three millions/" log
		echo last >>lines
		rm gone
		echo large >small
		mv moves moved; echo more >>moved
		seq 1 5500000 >new'
}

is_bounded() {
	within 400 "$CAIRNFS_BIN" diff "$agent" --patch >"$scratch/patch"
	within 400 "$CAIRNFS_BIN" diff "$agent" --stat >"$scratch/stat"
	grep -F ' huge | Bin 536870912 -> 536870912 bytes' "$scratch/stat"
	grep -F ' moves => moved | Bin 38888896 -> 38888901 bytes' "$scratch/stat"
	grep -F ' small | 2 +-' "$scratch/stat"
}

is_applied() {
	mounted "$agent" content "$mnt" >"$scratch/after"
	cd "$base"
	git init -q .
	git apply "$scratch/patch"
	rm -r .git
	content . >"$scratch/patched"
	same "$scratch/after" "$scratch/patched"
}

# What differs, and no more, of what was changed in its place.
is_small() {
	cairnfs diff "$agent" --patch huge >"$scratch/patch-huge"
	[ "$(stat -c %s "$scratch/patch-huge")" -lt 20000 ]
}

scratch
mnt=$scratch/mnt
base=$scratch/base
agent=$scratch/agent.db
will_mount "$mnt"
check 'a branch with large files' big_base
check 'diff of large files in 400 MiB of memory' is_bounded
check 'a patch of 4 bytes in 512 MiB is small' is_small
check 'git applies the patch of large files' is_applied
finish
