#!/bin/bash
# scripts/bench with tiny sizes: each workload on a plain directory and on cairnfs, what it says of a
# file system that fails, growth, the count of requests; and that it leaves nothing behind. TAP on stdout.
#
# The environment names the program and the helpers: CAIRNFS_BIN, CAIRNFS_BENCH_BIN.
set -euo pipefail

repo=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=scripts/tap.sh
. "$repo/scripts/tap.sh"
: "${CAIRNFS_BIN:?names the program under test}" "${CAIRNFS_BENCH_BIN:?names the helpers}"

# npm would need a network.
workloads=$("$repo/scripts/bench" --list | sed -n 's/^workloads (default): //p' | tr ' ' '\n' |
	grep -vx npm | paste -s -d ,)

# holds JQ-CONDITION: of the results.
holds() {
	jq -e "$1" "$scratch/out/results.json" >/dev/null || {
		echo "not so: $1"
		jq -c '.raw[]' "$scratch/out/results.json"
		return 1
	}
}

# Neither data, nor mounts.
nothing_left() {
	[ -z "$(find "$scratch/data" -maxdepth 1 -name 'run.*')" ]
	! grep -F " $scratch/data/" /proc/self/mounts
}

every_workload() {
	"${bench[@]}" --fs plain,cairnfs --only "$workloads"
	holds '.raw | length > 40 and all(.status == "ok")'
	holds '.metrics | length > 30 and all(.results[] | .median > 0)'
	holds '.metrics | all(.results.plain.ratios.plain == 1 and .results.cairnfs.ratios.plain > 0)'
	holds '.cpu | length > 20'
	holds '.targets | length > 10 and all(.seen.cairnfs | has("met"))'
	grep '^| untar of the source tree .*| s ' "$scratch/out/results.md"
	grep -q '<svg' "$scratch/out/tools.svg"
	grep -q PNG "$scratch/out/calls.png"
	nothing_left
}

# The median of three is the one in the middle, the median ratio that of the ratios in each round.
# shellcheck disable=SC2016 # jq's variables
rounds() {
	"${bench[@]}" --fs plain --variant small=chunk-size=4K,writeback_cache --rounds 3 \
		--only micro,sqlite
	holds '.file_systems == ["plain", "small"]'
	holds '.about.options.small.options == "chunk-size=4K,writeback_cache"'
	holds '[.raw[] | select(.fs == "small" and .workload == "sqlite") | .values.sqlite.value] as $seen |
		(.metrics[] | select(.metric == "sqlite") | .results.small) |
		.n == 3 and .median == ($seen | sort | .[1]) and .min == ($seen | min)'
	holds '([.raw[] | select(.workload == "micro")] | group_by(.round) | map(
			(map(select(.fs == "small"))[0].values.unlink.value) /
			(map(select(.fs == "plain"))[0].values.unlink.value)) | sort | .[1]) as $ratio |
		.metrics[] | select(.metric == "unlink") | .results.small.ratios.plain == $ratio'
	nothing_left
}

# One cannot be mounted, one takes nothing.
failing() {
	"${bench[@]}" --fs plain --peer none='echo no such device >&2; exit 1' \
		--peer full="$mount_peer -o ro" \
		--only untar,cp,micro
	holds '[.raw[] | select(.fs == "plain") | .status] == ["ok", "ok", "ok"]'
	holds '[.raw[] | select(.fs == "none") | .status] == ["fails", "fails", "fails"]'
	holds '[.raw[] | select(.fs == "none") | .why] | all(contains("no such device"))'
	holds '[.raw[] | select(.fs == "full") | .status] == ["fails", "fails", "fails"]'
	holds '[.raw[] | select(.fs == "full") | .why] | .[0] | contains("Read-only file system")'
	holds '[.raw[] | select(.fs == "full") | .why] | .[1] | contains("untar")'
	grep '^| untar .*| fails .*| fails ' "$scratch/out/results.md"
	nothing_left
}

growing() {
	"${bench[@]}" --growth 300
	holds '.raw | length == 5 and all(.status == "ok")'
	holds '.metrics | length > 20 and all(.results.cairnfs.median > 0)'
	grep -q '<svg' "$scratch/out/growth.svg"
	nothing_left
}

# As many as there are files, whatever else there may be. Only root may look at the kernel's events; then
# they say the same of cairnfs as cairnfs does.
counting() {
	local condition='.requests | .UNLINK == 120 and .WRITE >= 120 and .RMDIR == 2'

	"${bench[@]}" --requests --only small
	holds ".raw[0] | $condition"
	grep '^| small ' "$scratch/out/results.md"
	nothing_left
	[ "$(id -u)" -eq 0 ] || return 0
	"${bench[@]}" --requests --only small --fs cairnfs --peer traced="$mount_peer" \
		>"$scratch/said" 2>&1 || {
		cat "$scratch/said"
		grep -F "no trace events" "$scratch/said"
		return
	}
	holds ".raw[1] | $condition"
	holds '.raw | .[0].requests.LOOKUP == .[1].requests.LOOKUP'
	nothing_left
}

stopped() {
	local pid waited=0

	"${bench[@]}" --fs cairnfs --rounds 100 --only small,untar >"$scratch/stopped.log" 2>&1 &
	pid=$!
	until grep -F " $scratch/data/" /proc/self/mounts; do
		sleep 0.1
		waited=$((waited + 1))
		[ "$waited" -lt 600 ]
	done
	kill -TERM "$pid"
	if wait "$pid"; then
		return 1
	fi
	nothing_left
}

# refuses TEXT OPTION...: and says why.
refuses() {
	if "${bench[@]}" "${@:2}" >"$scratch/said" 2>&1; then
		return 1
	fi
	grep -F "$1" "$scratch/said"
}

refused() {
	refuses 'unknown: nothing' --only nothing
	refuses 'unknown: nothing' --fs nothing
	refuses 'about cairnfs' --growth 400 --fs plain
	refuses 'not NAME=' --variant xattr
	refuses 'needs a value' --rounds
	refuses 'not a number' --rounds none
}

# What a failure may have left: scratch's own clean-up knows only of mounts it was told of.
sweep() {
	local status=$? dir

	awk -v top="$scratch/" 'index($2, top) == 1 { print $2 }' /proc/self/mounts |
		while read -r dir; do
			release "$dir"
		done
	leave "$status"
}

scratch
trap sweep EXIT
bench=("$repo/scripts/bench" --scale tiny --dir "$scratch/data" --out "$scratch/out"
	--tree "$scratch/tree.tar")
tar -C "$repo" -c -f "$scratch/tree.tar" src docs
mkdir "$scratch/data"
# shellcheck disable=SC2016 # the shell that mounts it expands it
mount_peer="'$CAIRNFS_BIN' init "'"$DIR.db"; '"'$CAIRNFS_BIN' mount "'"$DIR.db" "$MNT"'

check "each workload on a plain directory and on cairnfs" every_workload
check "rounds: medians, and medians of ratios" rounds
check "a file system that fails is shown as failing" failing
check "growth" growing
check "requests are counted" counting
check "told to end, it leaves nothing behind" stopped
check "what is not known is refused" refused
finish
