# One measurement, and rounds of them. Sourced, not run.
#
# A workload NAME has the functions (with _ for -) NAME_prepare, NAME_run and NAME_verify, of which
# only run must be there. They work on the file system that fs_place chose, and each may assume that
# the one before succeeded. In run, timed and measured write what was measured to $records.
# shellcheck shell=bash

# timed METRIC COMMAND...: the command, by the clock. METRIC "untimed": not recorded.
timed() {
	if [ "$1" = untimed ]; then
		"$bench_bin/bench-timed" /dev/null "$1" "$limit" "${@:2}"
	else
		"$bench_bin/bench-timed" "$records" "$1" "$limit" "${@:2}"
	fi
}

# measured HELPER ARGUMENT...: one of our programs, which prints what it measured.
measured() {
	timeout "$limit" "$bench_bin/bench-$1" "${@:2}" >>"$records"
}

# same_text SEEN EXPECTED
same_text() {
	[ "$1" = "$2" ] || {
		echo "seen: $1; expected: $2" >&2
		return 1
	}
}

if_defined() {
	if declare -F "$1" >/dev/null; then
		"$1"
	fi
}

# The whole of one measurement, in a subshell with errexit.
workload_steps() {
	local workload=${1//-/_}

	if_defined "${workload}_prepare"
	settle
	times >"$home/times.before"
	daemon_ticks >"$home/ticks.before"
	[ -z "$count_requests" ] || watch_requests
	"${workload}_run"
	times >"$home/times.after"
	[ -z "$count_requests" ] || requests_seen >>"$records"
	# What cairnfs still has to commit belongs to it.
	[ "${fs_kind[$fs]}" != cairnfs ] || sync "$mnt"
	daemon_ticks >"$home/ticks.after"
	if_defined "${workload}_verify"
	used_cpu >>"$records"
}

# The processor time of what serves the mount; nothing where that is nobody, or not known.
daemon_ticks() {
	local pid

	[ -e "$home/daemon.pid" ] || return 0
	pid=$(cat "$home/daemon.pid")
	[ ! -e "/proc/$pid/stat" ] || sed 's/^.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 }'
}

# The processor seconds of the commands (times tells of all that the shell has waited for, in its
# second line) and of the daemon.
used_cpu() {
	awk -F'[ms ]+' -v hertz="$(getconf CLK_TCK)" '
		FILENAME ~ /times/ && FNR == 2 { times[FILENAME] = $1 * 60 + $2 + $3 * 60 + $4 }
		FILENAME ~ /ticks/ { ticks[FILENAME] = $1; served = 1 }
		END {
			printf "cpu\ts\t%.3f\t", times[ARGV[2]] - times[ARGV[1]]
			if (served)
				printf "%.3f", (ticks[ARGV[4]] - ticks[ARGV[3]]) / hertz
			print ""
		}' "$home/times.before" "$home/times.after" "$home/ticks.before" "$home/ticks.after"
}

# measure FS WORKLOAD: sets $status to "ok" or "fails", and $why. What was measured is in $records. In
# a process group of its own, so that all of it can be ended.
measure() {
	fs_place "$1"
	status=ok
	why=
	: >"$records"
	set -m
	(
		trap - EXIT INT TERM
		set -euo pipefail
		workload_steps "$2"
	) >"$home/$2.log" 2>&1 </dev/null &
	set +m
	running=$!
	wait "$running" || status=fails
	# A trap interrupts wait.
	while kill -0 "$running" 2>/dev/null; do
		wait "$running" || status=fails
	done
	running=
	if [ "$status" = fails ] && [ "$SECONDS" -ge "$deadline" ]; then
		status=late
	elif [ "$status" = fails ]; then
		why=$(reason "$home/$2.log")
		recover_fs "$1"
	fi
}

# What is under way a while after the deadline is ended.
watch_deadline() {
	trap '[ -z "$running" ] || kill -TERM -- "-$running"' USR1
	set -m
	(
		trap - EXIT INT TERM USR1
		sleep "$((deadline + 15 - SECONDS))"
		kill -USR1 $$
	) &
	set +m
	watchdog=$!
}

# reason LOG: the line that tells most, without our paths.
reason() {
	local line

	line=$(grep -iE -m 1 "error|cannot|fatal|fail|expected|not done" "$1" || tail -n 1 "$1")
	echo "${line//"$work/"/}"
}

# record ROUND FS WORKLOAD: a line of JSON.
record() {
	jq -cn --argjson round "$1" --arg fs "$2" --arg workload "$3" --arg status "$status" \
		--arg why "$why" --argjson load "$(cut -d' ' -f1 /proc/loadavg)" \
		--rawfile records "$records" -f "$bench/record.jq" >>"$raw"
}

# rotated N LIST...: the list, beginning with another member in each round: who comes after whom, and
# when, is not always the same.
rotated() {
	local by=$((($1 - 1) % ($# - 1)))

	shift
	printf '%s\n' "${@:by+1}" "${@:1:by}"
}

# round N: new file systems; each workload on all of them before the next. They are dropped by who comes next,
# so that the report of the last round need not wait for that.
round() {
	local workload name order

	say "Round $1 of $rounds"
	broken=()
	for name in "${filesystems[@]}"; do
		drop_fs "$name"
		make_fs "$name" >"$work/make.log" 2>&1 || {
			cat "$work/make.log" >&2
			broken["$name"]="not made: $(tail -n 1 "$work/make.log")"
		}
	done
	mapfile -t order < <(rotated "$1" "${filesystems[@]}")
	for workload in "${workloads[@]}"; do
		one_workload "$1" "$workload" "${order[@]}"
	done
}

# one_workload ROUND WORKLOAD FS...
one_workload() {
	local name

	printf '    %-16s' "$2"
	for name in "${@:3}"; do
		if [ -n "${broken[$name]:-}" ]; then
			status=fails
			why=${broken[$name]}
		elif [ "$SECONDS" -ge "$deadline" ]; then
			status=late
			why="no time was left"
		else
			measure "$name" "$2"
		fi
		record "$1" "$name" "$2"
		shown "$name"
	done
	echo
}

# shown FS: what was measured, on the line of progress.
shown() {
	if [ "$status" = ok ]; then
		printf ' %s %s' "$1" "$(awk -F'\t' '
			$1 != "cpu" && $1 !~ /^request:/ { printf "%s%.4g", (NR > 1 ? "," : ""), $3 }' "$records")"
	else
		printf ' %s %s' "$1" "$status"
	fi
}
