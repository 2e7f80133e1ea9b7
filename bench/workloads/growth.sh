# What a large workspace costs, with many files and much data; of cairnfs only. Sourced, not run.
# shellcheck shell=bash

# A second workspace of the same options stands beside the large one, for comparison.
few_of() {
	echo "$1.few"
}

declare_few() {
	local name

	for name in "${filesystems[@]}"; do
		fs_kind[$(few_of "$name")]=cairnfs
		fs_options[$(few_of "$name")]=${fs_options[$name]:-}
	done
}

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

# operation KIND TURN SIZE FILES: adds "SIZE-KIND TURN MICROSECONDS" to a list; on files that the kernel knows
# nothing of, and other ones in each turn.
operation() {
	local seen

	remount
	settle
	seen=$(cd "$mnt/population" && timeout "$limit" "$bench_bin/bench-population" "$1" \
		"$count_growth" "$4" "$2")
	printf '%s-%s\t%s\t%s\n' "$3" "$1" "$2" "${seen##*$'\t'}" >>"$work/operations"
}

# middle UNIT: of lines of name, turn, value: the median of each name, as measured.
middle() {
	sort -t $'\t' -k 1,1 -k 3,3g | awk -F'\t' -v unit="$1" '
		function flush() {
			if (n)
				printf "%s\t%s\t%.3f\n", name, unit, (value[int((n + 1) / 2)] + value[int(n / 2) + 1]) / 2
			n = 0
		}
		$1 != name { flush(); name = $1 }
		{ value[++n] = $3 }
		END { flush() }'
}

operations_prepare() {
	local many=$fs

	make_fs "$(few_of "$many")"
	fill_to "$files_few"
	fs_place "$many"
	fill_to "$files_many"
}

# Few and many by turns, so that what else the machine does meets both alike.
operations_run() {
	local many=$fs turn kind

	: >"$work/operations"
	for turn in 0 1 2 3 4; do
		for kind in stat read create unlink; do
			fs_place "$(few_of "$many")"
			operation "$kind" "$turn" few "$files_few"
			fs_place "$many"
			operation "$kind" "$turn" many "$files_many"
		done
	done
	middle us <"$work/operations" >>"$records"
	awk -F'\t' '
		{ kind = $1; sub(/^[a-z]*-/, "", kind); at = kind FS $2 }
		/^few/ { few[at] = $3 }
		/^many/ { printf "growth-%s\t%s\t%.4f\n", kind, $2, $3 / few[at] }' \
		"$work/operations" | middle ratio >>"$records"
}

operations_verify() {
	local many=$fs

	drop_fs "$(few_of "$many")"
	fs_place "$many"
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
