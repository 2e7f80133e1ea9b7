#!/bin/bash
# The two include rules of the layers: SQLite belongs to src/store, FUSE to src/fuse, and only the
# command line prints or exits. TAP on stdout.
#
#	includes.sh SOURCE-ROOT
set -euo pipefail
cd "$1"

count=0
failed=0

# only DIR PATTERN WHAT: no source file outside DIR has a line that matches.
only() {
	local found

	count=$((count + 1))
	found=$(grep -rnE "$2" src include --include='*.[ch]' 2>/dev/null | grep -v "^$1/" || true)
	if [ -z "$found" ]; then
		echo "ok $count - $3"
	else
		echo "not ok $count - $3"
		printf '# %s\n' "$found"
		failed=1
	fi
}

echo 1..4
only src/store '#include *[<"]sqlite3' 'only src/store includes sqlite3.h'
only src/fuse '#include *[<"](fuse3/)?fuse_' 'only src/fuse includes libfuse'
only src/cli '(^|[^[:alnum:]_])(printf|puts|putchar|exit)\(|fprintf\((stdout|stderr)' 'only src/cli prints or exits'
count=$((count + 1))
if grep -rnE 'cairn_fuse_|struct fuse_|sqlite3_' src/core --include='*.[ch]'; then
	echo "not ok $count - src/core knows neither FUSE nor SQLite"
	failed=1
else
	echo "ok $count - src/core knows neither FUSE nor SQLite"
fi
exit "$failed"
