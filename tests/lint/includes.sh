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

# never DIR PATTERN WHAT: no source file below DIR has a line that matches.
never() {
	local found

	count=$((count + 1))
	found=$(grep -rnE "$2" "$1" --include='*.[ch]' || true)
	if [ -z "$found" ]; then
		echo "ok $count - $3"
	else
		echo "not ok $count - $3"
		printf '# %s\n' "$found"
		failed=1
	fi
}

echo 1..9
only src/store '#include *[<"]sqlite3' 'only src/store includes sqlite3.h'
only src/fuse '#include *[<"](fuse3/)?fuse_' 'only src/fuse includes libfuse'
only src/bulk '#include *[<"]archive' 'only src/bulk includes libarchive'
only src/cli '(^|[^[:alnum:]_])(printf|puts|putchar|exit)\(|fprintf\((stdout|stderr)' 'only src/cli prints or exits'
never src/core 'cairn_fuse_|struct fuse_|sqlite3_' 'src/core knows neither FUSE nor SQLite'
never src/core '#include *"base/' 'src/core does not know what lies under an overlay'
never src/base '#include *"(core|api|fuse|mount|cli|store/(check|kv|probe|schema|sql))' 'src/base knows the interface of the store alone'
never src/bulk '#include *"(api|fuse|mount|cli|store/(check|kv|probe|schema|sql))' 'src/bulk knows the core'
never src/api '#include *"core/([^co]|c[^o]|o[^p])' 'src/api knows the core from outside'
exit "$failed"
