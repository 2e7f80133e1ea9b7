#!/bin/bash
# The library as another program gets it: pkg-config, the header in C and in C++, the exported names,
# and docs/example.c built and run. TAP on stdout.
#
#	package.sh SOURCE-ROOT BUILD-ROOT
#
# check() calls the functions by name:
# shellcheck disable=SC2317
set -euo pipefail
source=$(realpath "$1")
build=$(realpath "$2")

tmp=$(mktemp -d "${TMPDIR:-/tmp}/cairnfs-package.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
cc=${CC:-cc}
cxx=${CXX:-c++}
failed=0
count=0

# check NAME COMMAND...
check() {
	local name=$1

	shift
	count=$((count + 1))
	if "$@" >"$tmp/out" 2>&1; then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		head -n 30 "$tmp/out" | sed 's/^/# /'
		failed=1
	fi
}

skip() {
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

install_it() {
	DESTDIR="$tmp/root" meson install -C "$build" --no-rebuild --quiet
}

# The variables of the installed cairnfs.pc, as if the staging directory were the root.
package() {
	local pc

	pc=$(find "$tmp/root" -name cairnfs.pc)
	PKG_CONFIG_PATH=$(dirname "$pc") PKG_CONFIG_SYSROOT_DIR="$tmp/root" pkg-config "$@" cairnfs
}

warnings=(-Wall -Wextra -Wpedantic -Werror)

compile_header() {
	echo '#include <cairnfs/cairnfs.h>' >"$tmp/header.c"
	# shellcheck disable=SC2046
	"$cc" -std=c11 "${warnings[@]}" -fsyntax-only $(package --cflags) "$tmp/header.c"
}

compile_cxx() {
	cat >"$tmp/header.cc" <<-'END'
		#include <cairnfs/cairnfs.h>
		int main()
		{
			struct cairnfs_options options = CAIRNFS_OPTIONS_INIT;
			struct cairnfs *ws = 0;
			options.create = true;
			return cairnfs_open("", &options, &ws) == 0 || cairnfs_close(ws) != 0;
		}
	END
	# shellcheck disable=SC2046
	"$cxx" -std=c++11 "${warnings[@]}" "$tmp/header.cc" -o "$tmp/cxx" $(package --cflags --libs)
	LD_LIBRARY_PATH=$(package --variable=libdir) "$tmp/cxx"
}

exports() {
	local library names

	library=$(find "$tmp/root" -name libcairnfs.so)
	names=$(nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
		sort)
	grep -oE '\bcairnfs_[a-z_]+\(' "$source/include/cairnfs/cairnfs.h" | tr -d '(' | sort -u |
		grep -vE '_fn$' >"$tmp/declared"
	diff "$tmp/declared" - <<<"$names"
}

soname() {
	readelf -d "$(find "$tmp/root" -name libcairnfs.so)" | grep -q 'SONAME.*\[libcairnfs\.so\.0\]'
}

build_example() {
	# shellcheck disable=SC2046
	"$cc" "${warnings[@]}" "$source/docs/example.c" $(package --cflags --libs) -o "$tmp/shared"
}

# run_example BINARY: two runs on a new workspace.
run_example() {
	rm -f "$tmp/notes.db"
	LD_LIBRARY_PATH=$(package --variable=libdir)
	export LD_LIBRARY_PATH
	"$1" "$tmp/notes.db" 'the first' &&
		"$1" "$tmp/notes.db" 'the second' >"$tmp/said" &&
		diff "$tmp/said" - <<-'END'
			notes:
			  1
			  2
			journal:
			note 1: the first
			note 2: the second
		END
}

build_static() {
	# shellcheck disable=SC2046
	"$cc" "${warnings[@]}" "$source/docs/example.c" $(package --cflags) \
		"$(find "$tmp/root" -name libcairnfs.a)" $(pkg-config --libs sqlite3 nettle) -pthread \
		-o "$tmp/static"
}

echo 1..9
check 'the library installs' install_it
check 'the header compiles as C' compile_header
if command -v "$cxx" >/dev/null; then
	check 'the header works from C++' compile_cxx
else
	skip 'the header works from C++' 'no C++ compiler'
fi
check 'the names of the header are exported, and no others' exports
check 'the soname is libcairnfs.so.0' soname
check 'the example builds with the shared library' build_example
check 'and runs' run_example "$tmp/shared"
check 'the example builds with the static library' build_static
check 'and runs' run_example "$tmp/static"
exit "$failed"
