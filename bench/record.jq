# What one measurement left behind, as one object. $records: lines of metric, unit, value, between tabs.
# "cpu" has the seconds of the commands and, where there is one, of the daemon; "request:KIND" how many
# were sent.

($records | split("\n") | map(select(. != "") | split("\t"))) as $lines |
{ round: $round, fs: $fs, workload: $workload, status: $status, load: $load } +
if $status != "ok" then { why: $why }
else
	{
		values: ($lines | map(select(.[0] != "cpu" and (.[0] | startswith("request:") | not)) |
			{ key: .[0], value: { unit: .[1], value: (.[2] | tonumber) } }) | from_entries),
		cpu: ($lines | map(select(.[0] == "cpu")) | first |
			{ commands: (.[2] | tonumber), daemon: (.[3] | if . == "" then null else tonumber end) }),
		requests: ($lines | map(select(.[0] | startswith("request:")) |
			{ key: (.[0] | ltrimstr("request:")), value: (.[2] | tonumber) }) | from_entries)
	}
end
