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
		--arg under "$(findmnt -n -o FSTYPE -T "$work")${ram:+ in memory}" --arg rounds "$rounds" --arg scale "$scale" \
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
	local metrics names

	metrics=$(jq -R -n '[inputs | select(startswith("#") | not) | split("\t") |
		{ metric: .[0], workload: .[1], panel: .[2], what: .[3] }]' "$metrics_file")
	names=$(printf '%s\n' "${filesystems[@]}" | jq -R . | jq -s .)
	jq -s --argjson metrics "$metrics" --argjson fs "$names" --argjson about "$(about)" \
		-f "$bench/report.jq" "$raw" >"$out/results.json"
	if [ -n "$growth" ]; then
		table metrics median | tee "$out/results.md"
	elif [ -n "$count_requests" ]; then
		requests_table | tee "$out/results.md"
	else
		tables | tee "$out/results.md"
	fi
	why_failed
}

tables() {
	local other

	heading "Medians, and half of the distance from the fastest to the slowest round:"
	table metrics median
	for other in plain passthrough_ll; do
		if has_member "$other" "${filesystems[@]}"; then
			heading "Ratios to $other, medians of the rounds:"
			table metrics "to_$other"
		fi
	done
	heading "Processor seconds, of commands and daemon, with what is committed after the command:"
	table cpu median
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
