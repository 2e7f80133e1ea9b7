# Lines of raw measurements, slurped, to results. $metrics: [{metric, workload, panel, what}] in order;
# $fs: names in order; $kinds: the kind of each; $targets: [{metric, relation, limit, against}]; $about: what
# is told of the machine and the run.

def median: sort | if length == 0 then null
	elif length % 2 == 1 then .[length / 2 | floor]
	else (.[length / 2 - 1] + .[length / 2]) / 2 end;

# [{round, value}] against those of another file system: the median of the ratios in each round.
def ratio_to($theirs):
	[.[] | .round as $round | .value as $value |
		($theirs[] | select(.round == $round and .value > 0)) | $value / .value] | median;

# How it went on one file system: $mine[$name], among all of them, with its measurements as input.
def summary($mine; $name):
	$mine[$name] as $values |
	if ($values | length) > 0 then
		{
			status: "ok", n: ($values | length), failed: (map(select(.status == "fails")) | length),
			median: ($values | map(.value) | median),
			min: ($values | map(.value) | min), max: ($values | map(.value) | max),
			ratios: ($mine | map_values(. as $theirs | $values | ratio_to($theirs)))
		}
	elif length > 0 and .[-1].status != "ok" then { status: .[-1].status, why: .[-1].why }
	else { status: "absent" } end;

. as $all |

# One row: `values` makes [{round, value}] of the measurements of a workload on a file system.
def row($workload; values):
	($fs | map(. as $name | { key: $name, value: ($all | map(select(.fs == $name and
		.workload == $workload))) }) | from_entries) as $seen |
	($seen | map_values(values)) as $mine |
	{ results: ($fs | map(. as $name | { key: $name, value: ($seen[$name] | summary($mine; $name)) }) |
		from_entries) };

def met($relation; $limit): if $relation == "<=" then . <= $limit else . >= $limit end;

($all | map(.workload) | unique) as $done |
[$metrics[] | select(.workload | IN($done[])) | . as $m |
	$m + { unit: (first($all[] | .values[$m.metric].unit // empty) // "-") } +
	row($m.workload; map(select(.values[$m.metric]) | { round, value: .values[$m.metric].value }))]
as $rows |
{
	about: $about,
	file_systems: $fs,
	metrics: $rows,
	cpu: [(reduce $metrics[] as $m ([]; if index($m.workload) then . else . + [$m.workload] end))[] |
		select(IN($done[])) | { workload: ., what: ., unit: "s" } +
		row(.; map(select(.cpu) | { round, value: (.cpu.commands + (.cpu.daemon // 0)) }))],
	targets: [$targets[] | . as $t | ($rows[] | select(.metric == $t.metric)) as $row |
		$t + { what: $row.what, seen: ($fs | map(select($kinds[.] == "cairnfs") | . as $name |
			($row.results[$name] | if $t.against == "-" then .median
				else .ratios[$t.against] end) as $value |
			{ key: $name, value: { value: $value,
				met: ($value | if . == null then null else met($t.relation; $t.limit) end) } }) |
			from_entries) }],
	raw: $all
}
