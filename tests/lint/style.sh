#!/bin/bash
# clang-format and clang-tidy over all sources, the length of files and functions. TAP on stdout.
#
#	style.sh SOURCE-ROOT BUILD-ROOT
set -euo pipefail
build=$(realpath "$2")
cd "$1"

sources=$(find src include tests docs bench -name '*.[ch]' 2>/dev/null | sort)
failed=0

# check N NAME COMMAND...: fails when the command fails or says something.
check() {
	local n=$1 name=$2 out
	shift 2
	if out=$("$@" 2>&1) && [ -z "$out" ]; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		head -n 60 <<<"$out" | sed 's/^/# /'
		failed=1
	fi
}

format() {
	# shellcheck disable=SC2086
	clang-format --dry-run -Werror $sources
}

# Without the analyzer, which takes minutes; see CONTRIBUTING.md.
tidy() {
	local units

	units=$(find src -name '*.c' | sort)
	# shellcheck disable=SC2086
	printf '%s\n' $units | xargs -P "$(nproc)" -n 4 clang-tidy -p "$build" --quiet \
		--checks='-clang-analyzer-*' 2>/dev/null
}

length() {
	# shellcheck disable=SC2086
	wc -l $sources | awk '$2 != "total" && $1 > 800 { print $2 " has " $1 " lines: split it by concept" }'
}

scripts() {
	# shellcheck disable=SC2046
	shellcheck -x -a -P SCRIPTDIR -P . -e SC2317,SC1091 $(grep -rlE '^#!/bin/(ba)?sh' scripts tests .ci)
}

echo 1..4
check 1 'clang-format agrees' format
check 2 'clang-tidy is content' tidy
check 3 'no file over 800 lines' length
check 4 'shellcheck is content' scripts
exit "$failed"
