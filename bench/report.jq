# Lines of raw measurements, slurped, to results. $metrics: [{metric, workload, panel, what}] in order;
# $fs: names in order; $about: what is told of the machine and the run.

def median: sort | if length == 0 then null
	elif length % 2 == 1 then .[length / 2 | floor]
	else (.[length / 2 - 1] + .[length / 2]) / 2 end;

# Values by round, against those of another file system: the median of the ratios in each round.
def ratio_to($theirs):
	[.[] | .round as $round | .value as $value |
		($theirs[] | select(.round == $round and .value > 0)) | $value / .value] | median;

# [{round, value}] and the measurements they come from.
def summary($values; $plain; $passthrough_ll):
	if ($values | length) > 0 then
		{
			status: "ok", n: ($values | length), failed: (map(select(.status == "fails")) | length),
			median: ($values | map(.value) | median),
			min: ($values | map(.value) | min), max: ($values | map(.value) | max),
			to_plain: ($values | ratio_to($plain)),
			to_passthrough_ll: ($values | ratio_to($passthrough_ll))
		}
	elif length > 0 and .[-1].status != "ok" then { status: .[-1].status, why: .[-1].why }
	else { status: "absent" } end;

# The values of one metric on one file system, from all measurements.
def values_of($metric): map(select(.values[$metric]) | { round, value: .values[$metric].value });
def cpu_of: map(select(.cpu) | { round, value: (.cpu.commands + (.cpu.daemon // 0)) });

. as $all |
($all | map(.workload) | unique) as $done |
def on($workload; $name): $all | map(select(.fs == $name and .workload == $workload));

{
	about: $about,
	file_systems: $fs,
	metrics: [$metrics[] | select(.workload | IN($done[])) | . as $m |
		(first($all[] | .values[$m.metric].unit // empty) // "-") as $unit |
		$m + { unit: $unit, better: (if $unit == "/s" or $unit == "x" then "more" else "less" end) } +
		{ results: ($fs | map({ key: ., value: (on($m.workload; .) |
			summary(values_of($m.metric);
				on($m.workload; "plain") | values_of($m.metric);
				on($m.workload; "passthrough_ll") | values_of($m.metric))) }) | from_entries) }],
	cpu: [(reduce $metrics[] as $m ([]; if any(.[]; .workload == $m.workload) then . else . + [$m] end))[] |
		select(.workload | IN($done[])) | . as $m |
		{ workload, what: .workload, unit: "s",
		results: ($fs | map({ key: ., value: (on($m.workload; .) |
			summary(cpu_of; on($m.workload; "plain") | cpu_of;
				on($m.workload; "passthrough_ll") | cpu_of)) }) | from_entries) }],
	raw: $all
}
