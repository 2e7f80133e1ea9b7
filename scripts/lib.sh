# Shared by the scripts people call. Sourced, not run.
# shellcheck shell=bash

# shellcheck disable=SC2034 # for those that source this
build_packages=(gcc libc6-dev pkg-config meson ninja-build libfuse3-dev fuse3 libsqlite3-dev
	uthash-dev libjansson-dev libarchive-dev libgit2-dev nettle-dev zlib1g-dev scdoc)
# shellcheck disable=SC2034
bench_packages=(jq bsdextrautils gnuplot-nox fonts-dejavu-core)
# shellcheck disable=SC2034
test_packages=(libcriterion-dev sqlite3 git rsync attr acl ca-certificates diffutils
	clang-tidy clang-format shellcheck g++ fio jq patch xfsprogs)

say() {
	echo "==> $*"
}

die() {
	echo "$(basename "$0"): $*" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "needs root for: $*"
	fi
}

is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# install_packages PACKAGE...: installs those that are missing.
install_packages() {
	local package missing=()

	command -v apt-get >/dev/null || {
		say "No apt-get here: it is up to you that these are there: $*"
		return 0
	}
	for package in "$@"; do
		is_installed "$package" || missing+=("$package")
	done
	[ "${#missing[@]}" -gt 0 ] || return 0
	say "Installing: ${missing[*]}"
	as_root apt-get update -qq
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
		--no-install-recommends "${missing[@]}" </dev/null
}

# Debian's udev rule gives /dev/fuse the mode 0666. In a container or a small machine no udev
# may have run, and ordinary users are locked out.
prepare_fuse() {
	[ -c /dev/fuse ] || die "/dev/fuse is missing: load the fuse module, or give it to the container"
	[ "$(stat -c %a /dev/fuse)" != 666 ] || return 0
	if [ "$(id -u)" -eq 0 ]; then
		say "Setting /dev/fuse to mode 0666, as the distribution's udev rule does"
		chmod 0666 /dev/fuse
	elif [ ! -w /dev/fuse ]; then
		say "Setting /dev/fuse to mode 0666, as the distribution's udev rule does (with sudo)"
		as_root chmod 0666 /dev/fuse
	fi
}
