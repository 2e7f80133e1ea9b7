# Results to tables in Markdown. $which: "medians", "plain" or "passthrough_ll" (ratios to it).

# Three figures that count.
def short:
	if . == null then "-"
	elif . == 0 then "0"
	elif . >= 100 then (round | tostring)
	elif . >= 10 then (. * 10 | round / 10 | tostring)
	elif . >= 1 then (. * 100 | round / 100 | tostring)
	else (. * 1000 | round / 1000 | tostring) end;

# A median, and how far the rounds lay apart.
def spread:
	if .n > 1 and .median > 0 then " ±" + ((.max - .min) / 2 / .median * 100 | round | tostring) + "%"
	else "" end;

def cell:
	if .status == "ok" then
		(if $which == "medians" then (.median | short) + spread
		elif $which == "plain" then (.to_plain | short)
		else (.to_passthrough_ll | short) end) + (if .failed > 0 then " (\(.failed) fail)" else "" end)
	elif .status == "fails" then "fails"
	elif .status == "late" then "no time"
	else "-" end;

. as $report |
(["what", "unit"] + .file_systems) as $head |
($head, ($head | map("---")),
(.metrics[] | . as $metric | [.what, .unit // "-"] + ($report.file_systems | map($metric.results[.] | cell)))) |
"| " + join(" | ") + " |"
