# Pictures of the results, each as SVG and as PNG. Sourced, not run.
# shellcheck shell=bash

# plots: one for each panel of the metrics.
plots() {
	local panel

	mkdir -p "$work/plots"
	for panel in tools files data calls growth requests; do
		rm -f "$out/$panel.svg" "$out/$panel.png"
	done
	if [ -n "$count_requests" ]; then
		requests_data
		draw requests "Requests to the daemon" "requests" log
	elif [ -n "$growth" ]; then
		growth_data
		draw growth "One operation on any of few and of many files" "microseconds" linear
	elif has_member plain "${filesystems[@]}"; then
		for panel in tools files data calls; do
			panel_data "$panel"
			draw "$panel" "Time taken, as a multiple of the plain directory's" \
				"times the plain directory (less is better)" log
		done
	fi
}

# Data files have a line of names, then a line for each group of bars: its name and a number, or -, for
# each of those, with tabs between.

# panel_data PANEL: ratios to the plain directory; of rates, their inverse: the time for one.
panel_data() {
	jq -r --arg panel "$1" '
		(.file_systems - ["plain"]) as $fs |
		(["what"] + $fs),
		(.metrics[] | select(.panel == $panel and .unit != "x") | . as $row |
			[.metric] + ($fs | map($row.results[.].ratios.plain |
				if . == null or . == 0 then "-"
				elif $row.unit == "/s" then 1 / . else . end))) | @tsv' \
		"$out/results.json" >"$work/plots/$1"
}

requests_data() {
	jq -r '.file_systems as $fs | .raw as $raw |
		(["what"] + $fs),
		([$raw[].workload] | unique)[] as $workload |
			([$workload] + ($fs | map(. as $name | [$raw[] |
				select(.fs == $name and .workload == $workload and .requests) | .requests |
				add] | first // "-" | if . == 0 then "-" else . end))) | @tsv' \
		"$out/results.json" >"$work/plots/requests"
}

growth_data() {
	jq -r '.file_systems as $fs | .metrics as $rows |
		(["what"] + ($fs | map(. + ", few", . + ", many"))),
		(("stat", "read", "create", "unlink") as $kind | [$kind] + ($fs | map(. as $name |
			("few-", "many-") | . as $size | $rows[] | select(.metric == $size + $kind) |
			.results[$name].median // "-"))) | @tsv' "$out/results.json" >"$work/plots/growth"
}

# draw NAME TITLE YLABEL log|linear
draw() {
	local data="$work/plots/$1" scale='' terminal columns values

	read -r columns values < <(awk -F'\t' 'NR == 1 { columns = NF }
		NR > 1 { for (i = 2; i <= NF; i++) n += $i != "-" }
		END { print columns, n + 0 }' "$data")
	# Nothing was measured: no picture.
	[ "$values" -gt 0 ] || return 0
	if [ "$4" = log ]; then
		scale='set logscale y; set format y "%g"
			set arrow from graph 0, first 1 to graph 1, first 1 nohead lc rgb "black" dt 2'
	fi
	for terminal in svg pngcairo; do
		gnuplot <<-END
			set terminal $terminal size 1100,560 font "sans,11" background rgb "white"
			set output "$out/$1.${terminal%cairo}"
			set datafile separator tab
			set datafile missing "-"
			set title "$2" noenhanced
			set ylabel "$3" noenhanced
			set style data histogram
			set style histogram clustered gap 1
			set style fill solid 0.9 border -1
			set boxwidth 1 relative
			set xtics rotate by -35 scale 0 noenhanced
			set key outside top center horizontal noenhanced
			set grid ytics linestyle 1 linecolor rgb "#cccccc"
			$scale
			colours = "#3366aa #cc5533 #55aa55 #aa77bb #ccaa33 #669999 #888888 #aa3355"
			plot for [i=2:$columns] "$data" using i:xtic(1) title columnheader(i) \
				linecolor rgb word(colours, (i - 2) % 8 + 1)
		END
	done
}
