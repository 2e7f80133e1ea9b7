# What the workloads work on: a source tree, the sources of cairnfs, npm packages; and passthrough_ll.
# Made or fetched once, into $cache; later runs need no network. Sourced, not run.
# shellcheck shell=bash

# Those that the chosen workloads and file systems need.
prepare_inputs() {
	prepare_tree
	prepare_sources
	if has_member passthrough_ll "${filesystems[@]}"; then
		prepare_passthrough_ll
	fi
	if has_member npm "${workloads[@]}"; then
		prepare_npm
	fi
	if [[ " ${workloads[*]}" == *" git"* ]]; then
		prepare_git
	fi
}

# The package whose sources are the tree: the Go library and compiler, some 8,900 entries in
# directories as deep and with files as small and as large as a project has.
tree_package=golang-1.19-src
tree_inside=./usr/share/go-1.19/src

# prepare_tree: $tree is an uncompressed tar of it, or what --tree gave. For small runs, of a part.
prepare_tree() {
	local part name

	if [ -z "$tree" ]; then
		part=$tree_inside${tree_part:+/$tree_part}
		name=$tree_package${tree_part:+-${tree_part//\//-}}
		tree="$cache/$name.tar"
		[ -e "$tree" ] || make_tree "$part"
	fi
	count_tree
}

make_tree() {
	local deb

	say "Fetching the package $tree_package and making $tree"
	deb=$(fetch_package "$tree_package")
	rm -rf "$cache/tree"
	mkdir "$cache/tree"
	dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$cache/tree" "$1"
	# Its own package is no part of it, where it links there.
	find "$cache/tree" -type l -delete
	tar -C "$cache/tree/$1" --sort=name --owner=0 --group=0 --numeric-owner -c -f "$tree.part" .
	rm -rf "$cache/tree"
	mv "$tree.part" "$tree"
}

# fetch_package PACKAGE: prints where the .deb file lies.
fetch_package() {
	local found

	found=$(find "$cache" -maxdepth 1 -name "$1_*.deb" | head -n 1)
	if [ -z "$found" ]; then
		(cd "$cache" && { apt-get download -q "$1" || { as_root apt-get update -q &&
			apt-get download -q "$1"; }; }) >&2
		found=$(find "$cache" -maxdepth 1 -name "$1_*.deb" | head -n 1)
	fi
	[ -n "$found" ] || die "the package $1 cannot be fetched; give another tree with --tree"
	echo "$found"
}

# What must be there when the tree has been unpacked or copied: $tree_files and $tree_bytes.
count_tree() {
	[ -e "$tree" ] || die "$tree is not there"
	read -r tree_files tree_bytes < <(tar -tv -f "$tree" | awk '
		/^-/ { files++; bytes += $3 }
		END { printf "%d %.0f\n", files, bytes }')
	[ "$tree_files" -gt 0 ] || die "$tree holds no file"
}

# prepare_sources: a tar of cairnfs as it is checked out.
prepare_sources() {
	sources="$work/cairnfs.tar"
	tar -C "$repo" --exclude=./build --exclude='./build-*' --exclude=./.git \
		--exclude=./compile_commands.json -c -f "$sources" .
}

# passthrough_ll, compiled from the example that comes with libfuse's headers.
prepare_passthrough_ll() {
	local examples=/usr/share/doc/libfuse3-dev/examples flags

	passthrough_ll="$cache/passthrough_ll"
	[ ! -x "$passthrough_ll" ] || return 0
	if [ ! -e "$examples/passthrough_ll.c" ]; then
		dpkg-deb -x "$(fetch_package libfuse3-dev)" "$cache/libfuse3-dev"
		examples="$cache/libfuse3-dev$examples"
	fi
	say "Compiling passthrough_ll"
	read -r -a flags <<<"$(pkg-config --cflags --libs fuse3)"
	gcc -O2 -o "$passthrough_ll" "$examples/passthrough_ll.c" "${flags[@]}"
}

# npm_packages: what is installed, and a cache of npm's own that holds all of it.
prepare_npm() {
	npm_cache="$cache/npm"
	npm_project="$cache/npm-project"
	[ ! -e "$npm_project/package-lock.json" ] || return 0
	say "Filling a cache with npm packages"
	mkdir -p "$npm_project"
	cat >"$npm_project/package.json" <<-'END'
		{
			"private": true,
			"dependencies": { "express": "4.19.2", "eslint": "8.57.0" }
		}
	END
	(cd "$npm_project" && npm install --cache "$npm_cache" --no-audit --no-fund \
		--ignore-scripts --loglevel=error --omit-lockfile-registry-resolved=false >&2 &&
		rm -rf node_modules) || {
		rm -f "$npm_project/package-lock.json"
		die "npm cannot fetch the packages"
	}
}
