# A large file: written and read in sequence, and at random. Sourced, not run.
# shellcheck shell=bash

write_big_prepare() {
	rm -f "$mnt/big"
	remount
}

write_big_do() {
	timed "$1" "$bench_bin/bench-stream" write "$mnt/big" "$size_big"
}

write_big_run() {
	touch "$home/write-big.failed"
	write_big_do write-big
}

write_big_verify() {
	[ "$(stat -c %s "$mnt/big")" -eq "$size_big" ]
	done_with write-big
}

# read_big METRIC: what is read is verified by who reads it.
read_big() {
	timed "$1" "$bench_bin/bench-stream" read "$mnt/big" "$size_big"
}

read_big_cold_prepare() {
	need write-big
	remount_cold
}

read_big_cold_run() {
	read_big read-big-cold
}

# The first time is not measured.
read_big_warm_prepare() {
	need write-big
	read_big untimed
}

read_big_warm_run() {
	read_big read-big-warm
}

# random METRIC DIRECTION: 4 KiB at a time at places drawn anew, the same for all file systems.
# fio's own time for one of them is what counts, so that its start does not.
random() {
	fio --name=random --filename="$mnt/random" --size="$size_random" --rw="$2" --bs=4k \
		--ioengine=psync --io_size="$((count_random * 4096))" --randrepeat=1 \
		--allow_file_create=0 --invalidate=0 --output-format=json \
		"${@:3}" >"$home/fio.json"
	jq -r --arg name "$1" --arg side "${2#rand}" '.jobs[0][$side] |
		[$name, "us", .runtime * 1000 / .total_ios] | @tsv' "$home/fio.json" >>"$records"
}

random_prepare() {
	[ -e "$mnt/random" ] || "$bench_bin/bench-stream" write "$mnt/random" "$size_random"
}

# What is read is not in any cache.
random_read_prepare() {
	random_prepare
	remount_cold
}

random_read_run() {
	random random-read randread
}

random_verify() {
	[ "$(jq ".jobs[0].$1.total_ios" "$home/fio.json")" -eq "$count_random" ]
	[ "$(jq '.jobs[0].error' "$home/fio.json")" -eq 0 ]
	[ "$(stat -c %s "$mnt/random")" -eq "$size_random" ]
}

random_read_verify() {
	random_verify read
}

random_write_prepare() {
	random_prepare
	cat "$mnt/random" >/dev/null
}

# With the fsync at the end.
random_write_run() {
	random random-write randwrite --end_fsync=1
}

random_write_verify() {
	random_verify write
	rm "$mnt/random"
}
