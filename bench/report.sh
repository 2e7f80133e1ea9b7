# Raw measurements to results: JSON, tables. Sourced, not run.
# shellcheck shell=bash

# about: the machine and the run, as JSON. No absolute figure means anything without.
about() {
	jq -n --arg version "$("$CAIRNFS_BIN" --version)" \
		--arg commit "$(git -C "$repo" describe --always --dirty 2>/dev/null || echo unknown)" \
		--arg kernel "$(uname -sr)" --arg cores "$(nproc)" \
		--arg memory "$(awk '/^MemTotal/ { print $2 }' /proc/meminfo)" \
		--arg cpu "$(sed -n '/^model name/{s/.*: //p;q}' /proc/cpuinfo)" \
		--arg libfuse "$(pkg-config --modversion fuse3)" \
		--arg sqlite "$(pkg-config --modversion sqlite3)" \
		--arg under "$(findmnt -n -o FSTYPE -T "$work")${ram:+ in memory}" \
		--arg rounds "$rounds" --arg scale "$scale" \
		--arg load "$load_before / $(cut -d' ' -f1-3 /proc/loadavg)" \
		--arg cold "$(can_drop_caches && echo 'caches dropped' || echo 'mounted anew')" \
		--arg tree "$(basename "$tree"): $tree_files files, $tree_bytes bytes" \
		--argjson options "$(options_json)" '{
			cairnfs: $version, commit: $commit, kernel: $kernel, cores: ($cores | tonumber),
			memory_kib: ($memory | tonumber), cpu: $cpu, libfuse: $libfuse, sqlite: $sqlite,
			file_system_below: $under, rounds: ($rounds | tonumber), scale: $scale,
			load_before_and_after: $load, cold: $cold, tree: $tree, options: $options }'
}

# What was given for variants and peers.
options_json() {
	local name

	for name in "${filesystems[@]}"; do
		jq -n --arg name "$name" --arg kind "${fs_kind[$name]}" \
			--arg options "${fs_options[$name]:-}" '{ ($name): { $kind, $options } }'
	done | jq -s add
}

# report: $out/results.json, and the tables, also on standard output.
report() {
	local columns='[inputs | select(startswith("#") | not) | split("\t")]'

	jq -R -n "$columns | map({ metric: .[0], workload: .[1], panel: .[2], what: .[3] })" \
		"$metrics_file" >"$work/metrics.json"
	jq -R -n "$columns | map({ metric: .[0], relation: .[1], limit: (.[2] | tonumber),
		against: .[3] })" "$bench/targets.tsv" >"$work/targets.json"
	about >"$work/about.json"
	jq -s --slurpfile metrics "$work/metrics.json" --slurpfile targets "$work/targets.json" \
		--slurpfile about "$work/about.json" '
		$metrics[0] as $metrics | $targets[0] as $targets | $about[0] as $about |
		($about.options | keys_unsorted) as $fs |
		($about.options | map_values(.kind)) as $kinds |'"$(cat "$bench/report.jq")" \
		"$raw" >"$out/results.json"
	tables | tee "$out/results.md"
	why_failed
}

tables() {
	local other

	if [ -n "$count_requests" ]; then
		requests_table
		return
	fi
	heading "Medians, and half of the distance from the fastest to the slowest round:"
	table metrics median
	for other in plain passthrough_ll; do
		if has_member "$other" "${filesystems[@]}"; then
			heading "Ratios to $other, medians of the rounds:"
			table metrics "$other"
		fi
	done
	if [ -z "$growth" ]; then
		heading "Processor seconds, of commands and daemon, with what is committed after the command:"
		table cpu median
	fi
	if [ "$(jq '[.targets[].seen[].value] | any' "$out/results.json")" = true ]; then
		heading "Targets:"
		table targets median
	fi
}

heading() {
	printf '\n%s\n\n' "$1"
}

# table ROWS WHICH
table() {
	jq -r --arg rows "$1" --arg which "$2" -f "$bench/table.jq" "$out/results.json" |
		column -t -s '|' -o '|'
}

# What failed, and the line that tells why; what was not done.
why_failed() {
	jq -r '
		([.raw[] | select(.status == "fails")] | group_by([.fs, .why])[] |
			"fails: \(.[0].fs): \(map(.workload) | unique | join(", ")): \(.[0].why)"),
		([.raw[] | select(.status == "late")] | if length > 0 then
			"no time was left for \(length) measurements, of: " +
			(map(.workload) | unique | join(", ")) else empty end)' "$out/results.json" >&2
}

# has_member WORD LIST...
has_member() {
	local word

	for word in "${@:2}"; do
		[ "$word" != "$1" ] || return 0
	done
	return 1
}
