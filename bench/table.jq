# Results to a table in Markdown. $rows: "metrics", "cpu" or "targets"; $which, of the first two: "median", or
# the file system to which to show the ratios.

# Three figures that count.
def short:
	if . == null then "-"
	elif . == 0 then "0"
	elif . >= 100 then (round | tostring)
	elif . >= 10 then (. * 10 | round / 10 | tostring)
	elif . >= 1 then (. * 100 | round / 100 | tostring)
	else (. * 1000 | round / 1000 | tostring) end;

# Half of the distance between the rounds that were farthest apart.
def spread:
	if .n > 1 and .median > 0 then " ±" + ((.max - .min) / 2 / .median * 100 | round | tostring) + "%"
	else "" end;

def cell:
	if .status == "ok" then
		(if $which == "median" then (.median | short) + spread else (.ratios[$which] | short) end) +
		(if .failed > 0 then " (\(.failed) failed)" else "" end)
	elif .status == "fails" then "fails"
	elif .status == "late" then "no time"
	else "-" end;

def verdict: (.value | short) + if .met == null then "" elif .met then " met" else " missed" end;

def measured_rows:
	.file_systems as $fs |
	["what", "unit"] + $fs,
	(.[$rows][] | select([.results[].status] | any(. == "ok" or . == "fails")) | . as $row |
		[.what, if $which == "median" then .unit else "ratio" end] +
		($fs | map($row.results[.] | cell)));

def target_rows:
	(.targets | map(select(any(.seen[]; .value != null)))) as $targets |
	select($targets | length > 0) | ($targets[0].seen | keys_unsorted) as $names |
	["what", "against", "target"] + $names,
	($targets[] | . as $t | [.what, .against, "\(.relation) \(.limit)"] + ($names | map($t.seen[.] | verdict)));

[if $rows == "targets" then target_rows else measured_rows end] |
select(length > 0) | (.[0], (.[0] | map("---")), .[1:][]) | "| " + join(" | ") + " |"
