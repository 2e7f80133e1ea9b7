# Results to a table in Markdown. $rows: "metrics" or "cpu"; $which: "median", "to_plain" or
# "to_passthrough_ll".

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
	if $which == "median" and .n > 1 and .median > 0 then
		" ±" + ((.max - .min) / 2 / .median * 100 | round | tostring) + "%"
	else "" end;

def cell:
	if .status == "ok" then
		(.[$which] | short) + spread + (if .failed > 0 then " (\(.failed) failed)" else "" end)
	elif .status == "fails" then "fails"
	elif .status == "late" then "no time"
	else "-" end;

. as $report |
(["what", "unit"] + .file_systems) as $head |
($head, ($head | map("---")),
(.[$rows][] | select([.results[].status] | any(. == "ok" or . == "fails")) | . as $row | [.what, if $which == "median" then .unit else "ratio" end] +
	($report.file_systems | map($row.results[.] | cell)))) |
"| " + join(" | ") + " |"
