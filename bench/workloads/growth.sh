# What a large workspace costs, with many files and much data; of cairnfs only. Sourced, not run.
# shellcheck shell=bash

# fill_to FILES: those that are missing yet.
fill_to() {
	local from=0

	[ ! -e "$home/filled" ] || from=$(cat "$home/filled")
	[ "$from" -lt "$1" ] || return 0
	mkdir -p "$mnt/population"
	# Half filled, it is of no use to what follows.
	echo "$files_many" >"$home/filled"
	(cd "$mnt/population" && timed untimed "$bench_bin/bench-population" fill "$from" "$1")
	echo "$1" >"$home/filled"
}

# operations PREFIX FILES: each kind three times, on files that the kernel knows nothing of.
operations() {
	local turn kind

	: >"$home/operations"
	for turn in 0 1 2; do
		for kind in stat read create unlink; do
			remount
			settle
			(cd "$mnt/population" && timeout "$limit" "$bench_bin/bench-population" "$kind" \
				"$count_growth" "$2" "$turn") >>"$home/operations"
		done
	done
	# The one in the middle of the three.
	sort -t $'\t' -k 1,1 -k 3,3g "$home/operations" |
		awk -F'\t' -v prefix="$1" 'NR % 3 == 2 { printf "%s-%s\t%s\t%s\n", prefix, $1, $2, $3 }' \
			>"$home/$1.operations"
	cat "$home/$1.operations" >>"$records"
}

few_prepare() {
	fill_to "$files_few"
}

few_run() {
	operations few "$files_few"
}

many_prepare() {
	fill_to "$files_many"
}

many_run() {
	operations many "$files_many"
	[ ! -e "$home/few.operations" ] || sed 's/^[a-z]*-//' "$home/few.operations" \
		"$home/many.operations" | awk -F'\t' '
			$1 in few { printf "growth-%s\tratio\t%.3f\n", $1, $3 / few[$1] }
			{ few[$1] = $3 }' >>"$records"
}

# memory METRIC FIELD: of the daemon, as /proc/PID/status has it, in MiB.
memory() {
	local pid

	[ -e "$home/daemon.pid" ] || return 0
	pid=$(cat "$home/daemon.pid")
	awk -v name="$1" -v field="$2:" '$1 == field { printf "%s\tMiB\t%.1f\n", name, $2 / 1024 }' \
		"/proc/$pid/status" >>"$records"
}

# What was the largest so far no longer counts.
forget_peak() {
	[ ! -e "$home/daemon.pid" ] || echo 5 >"/proc/$(cat "$home/daemon.pid")/clear_refs"
}

find_all_prepare() {
	fill_to "$files_many"
	remount
}

find_all_run() {
	timed find-all find "$mnt/population" -type f -printf '%s\n' >"$home/find.out"
	memory find-memory VmRSS
	memory find-peak VmHWM
}

find_all_verify() {
	same_text "$(count_and_sum <"$home/find.out")" \
		"$files_many $((files_many * 100))"
}

write_huge_prepare() {
	rm -f "$mnt/huge"
	remount
	forget_peak
}

write_huge_run() {
	timed write-huge "$bench_bin/bench-stream" write "$mnt/huge" "$size_huge"
	memory write-memory VmHWM
}

write_huge_verify() {
	"$bench_bin/bench-stream" read "$mnt/huge" "$size_huge"
}

mount_prepare() {
	[ -e "$mnt/population" ]
	[ -e "$mnt/huge" ]
}

# mount_once METRIC: from the command to the answer.
mount_once() {
	cairnfs_command
	# shellcheck disable=SC2016 # sh expands it
	timed "$1" sh -ec 'asked=$1; shift; "$@"; stat "$asked" >/dev/null' - "$mnt/population" \
		"${mount_command[@]}"
	note_daemon
}

mount_run() {
	unmount_fs "$fs"
	settle
	drop_caches
	mount_once mount-cold
	unmount_fs "$fs"
	mount_once mount-warm
}

# A workspace that holds the tree and nothing else.
stored_prepare() {
	unmount_fs "$fs"
	rm -f "$home"/workspace.db*
	make_fs "$fs"
}

stored_run() {
	untar_do untimed
	unmount_fs "$fs"
	stat -c %s "$home/workspace.db" | awk -v bytes="$tree_bytes" '{
		printf "stored-bytes\tMiB\t%.3f\n", bytes / 1048576
		printf "stored-size\tMiB\t%.3f\n", $1 / 1048576
		printf "stored-ratio\tratio\t%.4f\n", $1 / bytes }' >>"$records"
}

stored_verify() {
	mount_fs "$fs"
	untar_verify
}
