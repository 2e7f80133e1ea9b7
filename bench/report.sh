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
		--arg under "$(stat -f -c %T "$work")" --arg rounds "$rounds" --arg scale "$scale" \
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

# report: $out/results.json, and the tables on standard output.
report() {
	local metrics names

	metrics=$(jq -R -n '[inputs | select(startswith("#") | not) | split("\t") |
		{ metric: .[0], panel: .[2], what: .[3] }]' "$bench/metrics.tsv")
	names=$(printf '%s\n' "${filesystems[@]}" | jq -R . | jq -s .)
	jq -s --argjson metrics "$metrics" --argjson fs "$names" --argjson about "$(about)" \
		-f "$bench/report.jq" "$raw" >"$out/results.json"
	tables | tee "$out/results.md"
	why_failed
}

tables() {
	echo
	echo "Medians, and half of the distance from the fastest to the slowest round:"
	echo
	table medians
	if has_member plain "${filesystems[@]}"; then
		echo
		echo "Ratios to the plain directory, medians of the rounds:"
		echo
		table plain
	fi
	if has_member passthrough_ll "${filesystems[@]}"; then
		echo
		echo "Ratios to passthrough_ll, medians of the rounds:"
		echo
		table passthrough_ll
	fi
}

table() {
	jq -r --arg which "$1" -f "$bench/table.jq" "$out/results.json" | column -t -s '|' -o '|'
}

# What failed, and the last that was said of it.
why_failed() {
	jq -r '[.raw[] | select(.status == "fails")] | group_by([.fs, .why])[] |
		"fails: \(.[0].fs): \(map(.metric) | unique | join(", ")): \(.[0].why)"' \
		"$out/results.json" >&2
}

# has_member WORD LIST...
has_member() {
	local word

	for word in "${@:2}"; do
		[ "$word" != "$1" ] || return 0
	done
	return 1
}
