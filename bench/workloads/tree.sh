# A source tree: unpacked, copied, searched, removed. Sourced, not run.
# shellcheck shell=bash

# need STEP: whether it was done on this file system in this round; a step that failed is not tried
# again by each workload that builds upon it.
need() {
	[ ! -e "$home/$1.done" ] || return 0
	[ ! -e "$home/$1.failed" ] || {
		echo "not without what failed before: $1" >&2
		return 1
	}
	touch "$home/$1.failed"
	"${1//-/_}_do" "untimed"
	"${1//-/_}_verify"
	done_with "$1"
}

done_with() {
	rm -f "$home/$1.failed"
	touch "$home/$1.done"
}

# count_and_sum: of numbers, a line each.
count_and_sum() {
	awk '{ sum += $1 } END { printf "%d %.0f", NR, sum }'
}

# has_tree DIR: all files of the tree are there, with as many bytes.
has_tree() {
	local seen

	seen=$(find "$1" -name .git -prune -o -type f -printf '%s\n' | count_and_sum)
	same_text "$seen" "$tree_files $tree_bytes"
}

untar_do() {
	mkdir "$mnt/tree"
	timed "$1" tar -x -f "$tree" -C "$mnt/tree"
}

untar_run() {
	touch "$home/untar.failed"
	untar_do untar
}

untar_verify() {
	has_tree "$mnt/tree"
	done_with untar
}

cp_prepare() {
	need untar
}

cp_do() {
	timed "$1" cp -r "$mnt/tree" "$mnt/copy"
}

cp_run() {
	touch "$home/cp.failed"
	cp_do cp
}

cp_verify() {
	has_tree "$mnt/copy"
	done_with cp
}

# find_in_tree METRIC
find_in_tree() {
	timed "$1" find "$mnt/tree" -name .git -prune -o -type f -printf '%s\n' >"$home/find.out"
}

find_prepare() {
	need untar
}

find_run() {
	find_in_tree find
}

find_verify() {
	local seen

	seen=$(count_and_sum <"$home/find.out")
	same_text "$seen" "$tree_files $tree_bytes"
}

find_cold_prepare() {
	need untar
	remount_cold
}

find_cold_run() {
	find_in_tree find-cold
}

find_cold_verify() {
	find_verify
}

# A word that is in some files of any tree; all are read to their end.
grep_word=include

# grep_tree METRIC
grep_tree() {
	timed "$1" grep -r -a --exclude-dir=.git "$grep_word" "$mnt/tree" >"$home/grep.out"
}

# As many lines, in as many bytes, as the tree has that the tar holds.
grep_tree_verify() {
	local expected

	[ -e "$work/grep.expected" ] || {
		mkdir "$work/reference"
		tar -x -f "$tree" -C "$work/reference"
		grep -r -a -h "$grep_word" "$work/reference" | wc -lc >"$work/grep.expected"
		rm -rf "$work/reference"
	}
	expected=$(cat "$work/grep.expected")
	same_text "$(sed 's/^[^:]*://' "$home/grep.out" | wc -lc)" "$expected"
}

grep_cold_prepare() {
	need untar
	remount_cold
}

grep_cold_run() {
	grep_tree grep-cold
}

grep_cold_verify() {
	grep_tree_verify
}

# The first time is not measured.
grep_warm_prepare() {
	need untar
	grep_tree untimed
}

grep_warm_run() {
	grep_tree grep-warm
}

grep_warm_verify() {
	grep_tree_verify
}

rm_prepare() {
	need cp
}

rm_run() {
	rm "$home/cp.done"
	timed rm rm -r "$mnt/copy"
}

rm_verify() {
	[ ! -e "$mnt/copy" ]
}
