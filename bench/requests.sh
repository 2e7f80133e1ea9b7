# How many requests of which kind the kernel sends to a file system while a workload runs. cairnfs counts
# them itself. Of other file systems the kernel's trace events tell, all but FORGET. Sourced, not run.
# shellcheck shell=bash

# requests_so_far: lines of a kind and how many, since some moment.
requests_so_far() {
	if [ "${fs_kind[$fs]}" = cairnfs ]; then
		cairnfs_split "${fs_options[$fs]:-}"
		"$program" stats --json "$mnt" |
			jq -r '.requests | to_entries[] | [(.key | ascii_upcase), .value.count] | @tsv'
	else
		traced_requests
	fi
}

# From now on, those of the file system at hand.
watch_requests() {
	[ "${fs_kind[$fs]}" = cairnfs ] || trace_requests
	requests_so_far >"$home/requests.before"
}

# Since then: lines of "request:KIND", a tab, and how many.
requests_seen() {
	# What the kernel still gathers is part of it.
	sync -f "$mnt"
	requests_so_far >"$home/requests.after"
	awk '
		FILENAME == ARGV[1] { before[$1] = $2; next }
		$2 > before[$1] { printf "request:%s\t\t%d\n", $1, $2 - before[$1] }' \
		"$home/requests.before" "$home/requests.after"
}

# Whether any of the file systems does not count by itself.
needs_trace() {
	local name

	for name in "${filesystems[@]}"; do
		[ "${fs_kind[$name]}" = cairnfs ] || return 0
	done
	return 1
}

# A trace buffer of our own, which is large enough for the busiest workload.
prepare_trace() {
	local tracefs=/sys/kernel/tracing

	[ "$(id -u)" -eq 0 ] ||
		die "--requests of other file systems reads the kernel's trace events, which only root may"
	if [ ! -d "$tracefs/events" ]; then
		mount -t tracefs none "$tracefs" 2>/dev/null || {
			tracefs="$work/tracefs"
			mkdir "$tracefs"
			mount -t tracefs none "$tracefs" || die "no trace events can be read here"
		}
		tracefs_mounted=$tracefs
	fi
	[ -d "$tracefs/events/fuse/fuse_request_send" ] ||
		die "no trace events of FUSE are known to this kernel"
	trace="$tracefs/instances/cairnfs-bench-$$"
	mkdir "$trace"
	echo 65536 >"$trace/buffer_size_kb"
}

# Undoes it, if it was done.
forget_trace() {
	if [ -n "$trace" ] && [ -d "$trace" ]; then
		echo 0 >"$trace/events/fuse/fuse_request_send/enable"
		rmdir "$trace" || true
	fi
	if [ -n "$tracefs_mounted" ]; then
		umount "$tracefs_mounted" || true
	fi
}

# Begins anew, for the file system at hand. The event has its device's minor number.
trace_requests() {
	local events="$trace/events/fuse/fuse_request_send" device

	device=$(mountpoint -d "$mnt")
	echo 0 >"$events/enable"
	echo >"$trace/trace"
	echo "connection == ${device#*:}" >"$events/filter"
	echo 1 >"$events/enable"
}

traced_requests() {
	if grep -h '^overrun: [1-9]' "$trace"/per_cpu/cpu*/stats >&2; then
		echo "more requests than the trace buffer holds" >&2
		return 1
	fi
	sed -n 's/.*fuse_request_send:.* opcode [0-9]* (FUSE_\([A-Z0-9_]*\)).*/\1/p' "$trace/trace" |
		sort | uniq -c | awk '{ print $2 "\t" $1 }'
}

# A table for each file system: workloads, and the kinds that any of them needed.
requests_table() {
	local name

	for name in "${filesystems[@]}"; do
		heading "Requests to $name:"
		jq -r --arg fs "$name" '
			[.raw[] | select(.fs == $fs and .requests)] as $seen |
			([$seen[].requests | to_entries[]] | group_by(.key) |
				map({ kind: .[0].key, n: (map(.value) | add) }) | sort_by(-.n) | map(.kind))
			as $kinds |
			(["workload", "all"] + $kinds) as $head |
			($head, ($head | map("---")), ($seen[] | .requests as $r |
				[.workload, ([$r[]] | add // 0)] + ($kinds | map($r[.] // 0)))) |
			"| " + (map(tostring) | join(" | ")) + " |"' "$out/results.json" |
			column -t -s '|' -o '|'
	done
}
