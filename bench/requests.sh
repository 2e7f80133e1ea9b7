# How many requests of which kind the kernel sends to a file system while a workload runs. The kernel's
# trace events tell it, of any file system in user space; FORGET is not among them. Sourced, not run.
# shellcheck shell=bash

# A trace buffer of our own, which is large enough for the busiest workload; as root.
prepare_requests() {
	local tracefs=/sys/kernel/tracing

	[ "$(id -u)" -eq 0 ] || die "--requests reads the kernel's trace events, which only root may"
	if [ ! -d "$tracefs/events" ]; then
		mount -t tracefs none "$tracefs" 2>/dev/null || {
			tracefs="$work/tracefs"
			mkdir "$tracefs"
			mount -t tracefs none "$tracefs"
			tracefs_mounted=$tracefs
		}
	fi
	[ -d "$tracefs/events/fuse/fuse_request_send" ] ||
		die "this kernel has no trace event fuse_request_send"
	trace="$tracefs/instances/cairnfs-bench-$$"
	mkdir "$trace"
	echo 65536 >"$trace/buffer_size_kb"
}

forget_requests() {
	if [ -n "$trace" ] && [ -d "$trace" ]; then
		echo 0 >"$trace/events/fuse/fuse_request_send/enable"
		rmdir "$trace" || true
	fi
	if [ -n "$tracefs_mounted" ]; then
		umount "$tracefs_mounted" || true
	fi
}

# From now on, those of the file system at hand. The event has its device's minor number.
watch_requests() {
	local events="$trace/events/fuse/fuse_request_send" device

	device=$(mountpoint -d "$mnt")
	echo 0 >"$events/enable"
	echo >"$trace/trace"
	echo "connection == ${device#*:}" >"$events/filter"
	echo 1 >"$events/enable"
}

# Since then: lines of "request:KIND", a tab, and how many.
requests_seen() {
	# What the kernel still gathers is part of it.
	sync -f "$mnt"
	echo 0 >"$trace/events/fuse/fuse_request_send/enable"
	if grep -h '^overrun: [1-9]' "$trace"/per_cpu/cpu*/stats; then
		echo "more requests than the trace buffer holds" >&2
		return 1
	fi
	sed -n 's/.*fuse_request_send:.* opcode [0-9]* (FUSE_\([A-Z0-9_]*\)).*/\1/p' "$trace/trace" |
		sort | uniq -c | awk '{ printf "request:%s\t\t%d\n", $2, $1 }'
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
