# Lines of raw measurements, slurped, to results. $metrics: [{metric, panel, what}] in order; $fs: names in
# order; $about: what is told of the machine and the run.

def median: sort | if length == 0 then null
	elif length % 2 == 1 then .[length / 2 | floor]
	else (.[length / 2 - 1] + .[length / 2]) / 2 end;

# The same measurement on `other`, round by round: the median of the ratios.
def ratio_to($all; $metric; $other):
	[.[] | select(.status == "ok") as $mine |
		($all[] | select(.fs == $other and .metric == $metric and .round == $mine.round
			and .status == "ok" and .value > 0)) as $theirs |
		$mine.value / $theirs.value] | median;

def summary($all; $metric):
	[.[] | select(.status == "ok") | .value] as $values |
	if ($values | length) > 0 then
		{ status: "ok", n: ($values | length), median: ($values | median), min: ($values | min),
		max: ($values | max), failed: ([.[] | select(.status == "fails")] | length),
		to_plain: ratio_to($all; $metric; "plain"),
		to_passthrough_ll: ratio_to($all; $metric; "passthrough_ll") }
	elif length > 0 then
		{ status: .[-1].status, why: .[-1].why }
	else { status: "absent" } end;

. as $all |
($all | map(.metric) | unique) as $measured |
{
	about: $about,
	file_systems: $fs,
	metrics: [$metrics[] | select(.metric | IN($measured[])) | .metric as $metric |
		. + {
			unit: ([$all[] | select(.metric == $metric and .unit) | .unit] | first),
			results: ($fs | map(. as $name | { key: $name, value:
				([$all[] | select(.metric == $metric and .fs == $name)] |
				summary($all; $metric)) }) | from_entries)
		} | . + { better: (if .unit == "/s" or .unit == "x" then "more" else "less" end) }],
	raw: $all
}
