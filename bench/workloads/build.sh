# Tools that make many files: a compiler's and npm's. Sourced, not run.
# shellcheck shell=bash

ninja_prepare() {
	begin_with build
	tar -x -f "$sources" -C "$mnt/build"
	meson setup "$mnt/build/out" "$mnt/build" -Dtests=disabled --buildtype=debugoptimized
}

ninja_run() {
	timed ninja ninja -C "$mnt/build/out" -j2 "${ninja_targets[@]}"
}

ninja_verify() {
	[ "${#ninja_targets[@]}" -gt 0 ] || "$mnt/build/out/cairnfs" --version
	ninja -C "$mnt/build/out" -n "${ninja_targets[@]}" | grep 'no work to do'
	rm -r "$mnt/build"
}

npm_prepare() {
	begin_with npm
	cp "$npm_project/package.json" "$npm_project/package-lock.json" "$mnt/npm"
}

npm_run() {
	(cd "$mnt/npm" && timed npm npm ci --offline --cache "$npm_cache" --no-audit --no-fund \
		--ignore-scripts --loglevel=error)
}

npm_verify() {
	(cd "$mnt/npm" && node -e 'require("express"); require("eslint")')
	rm -r "$mnt/npm"
}
