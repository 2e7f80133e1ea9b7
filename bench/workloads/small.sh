# Small files: from one process, from 16 shells; single calls. Sourced, not run.
# shellcheck shell=bash

small_prepare() {
	begin_with small
}

small_run() {
	(cd "$mnt/small" && measured small "$count_small")
}

small_verify() {
	rmdir "$mnt/small"
}

# Each makes files, reads them and moves them to one place, each step a process of its own.
# shellcheck disable=SC2016 # sh expands it
shells_script='
	shell=$1 count=$2 i=0
	mkdir "from-$shell"
	while [ "$i" -lt "$count" ]; do
		echo "file $i of $shell" >"from-$shell/$i"
		cat "from-$shell/$i" >>"read-$shell"
		mv "from-$shell/$i" "to/$shell-$i"
		i=$((i + 1))
	done
	rmdir "from-$shell"
'

shells_prepare() {
	begin_with shells
	mkdir "$mnt/shells/to"
}

shells_run() {
	# shellcheck disable=SC2016 # sh expands it
	(cd "$mnt/shells" && timed shells sh -c '
		script=$1 count=$2 pids=
		for shell in 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16; do
			sh -ec "$script" - "$shell" "$count" &
			pids="$pids $!"
		done
		for pid in $pids; do
			wait "$pid" || exit 1
		done
	' - "$shells_script" "$count_shells")
}

shells_verify() {
	cd "$mnt/shells"
	[ "$(find to -type f | wc -l)" -eq $((16 * count_shells)) ]
	[ "$(cat read-* | wc -l)" -eq $((16 * count_shells)) ]
	[ "$(cat read-* | sort | sha1sum)" = "$(cat to/* | sort | sha1sum)" ]
	cd /
	rm -r "$mnt/shells"
}

micro_prepare() {
	begin_with micro
}

micro_run() {
	(cd "$mnt/micro" && measured micro "$count_micro")
}

micro_verify() {
	rmdir "$mnt/micro"
}
