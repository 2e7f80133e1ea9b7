# The file systems that are compared. Each has a name, a kind and options of its kind:
#
#	fs_kind[NAME]		plain, cairnfs, passthrough_ll, bindfs, gocryptfs, fuse2fs or peer
#	fs_options[NAME]	of cairnfs, see cairnfs_split; of a peer, the command that mounts it
#
# and a directory, "$work/NAME", in which all of it lies: mnt (where it is used), dir (what a peer
# keeps its files in), daemon.log, daemon.pid. For each kind there are make_KIND, which makes an empty
# one, and mount_KIND; what is common stands in make_fs, mount_fs, unmount_fs. Sourced, not run.
# shellcheck shell=bash

declare -A fs_kind=([plain]=plain [cairnfs]=cairnfs [passthrough_ll]=passthrough_ll
	[bindfs]=bindfs [gocryptfs]=gocryptfs [fuse2fs]=fuse2fs)
declare -A fs_options=()
declare -A fs_packages=([bindfs]=bindfs [gocryptfs]=gocryptfs [fuse2fs]=fuse2fs)

# fs_place NAME: sets $home, $mnt and $dir, for everything that works on one file system.
fs_place() {
	fs=$1
	home="$work/$1"
	mnt="$home/mnt"
	dir="$home/dir"
}

# is_mounted DIR. A space in the mount table is written \040; the work directory has none.
is_mounted() {
	grep -qF " $1 " /proc/self/mounts
}

# cairnfs_split OPTIONS: sets $program, $init_options and $mount_options. OPTIONS are mount options
# between commas, and besides: bin=PROGRAM, chunk-size=N and page-size=N (of init).
cairnfs_split() {
	local option list=()

	program=$CAIRNFS_BIN
	init_options=()
	mount_options=
	IFS=, read -r -a list <<<"$1"
	for option in "${list[@]}"; do
		case $option in
		bin=*) program=${option#bin=} ;;
		chunk-size=* | page-size=*) init_options+=("--$option") ;;
		*) mount_options+=",$option" ;;
		esac
	done
}

# daemon COMMAND...: starts what serves a mount, in the foreground of its own session, and waits
# until it answers.
daemon() {
	local waited=0 pid

	setsid "$@" >>"$home/daemon.log" 2>&1 </dev/null &
	pid=$!
	echo "$pid" >"$home/daemon.pid"
	until is_mounted "$mnt"; do
		sleep 0.05
		waited=$((waited + 1))
		if [ "$waited" -gt 400 ] || { ! is_mounted "$mnt" && ! is_running "$pid" &&
			! wait "$pid"; }; then
			tail -n 5 "$home/daemon.log" >&2
			echo "$fs: not mounted: $*" >&2
			return 1
		fi
	done
	stat "$mnt" >/dev/null
}

# is_running PID: a process that has ended, but was not waited for, has no program any more.
is_running() {
	[ -e "/proc/$1/exe" ]
}

make_plain() {
	:
}

mount_plain() {
	:
}

make_cairnfs() {
	cairnfs_split "${fs_options[$fs]:-}"
	"$program" init "${init_options[@]}" "$home/workspace.db"
}

# Sets $mount_command: how cairnfs is called, for those who measure just that.
cairnfs_command() {
	cairnfs_split "${fs_options[$fs]:-}"
	mount_command=("$program" mount "$home/workspace.db" "$mnt" -o
		"log=$home/daemon.log$mount_options")
}

mount_cairnfs() {
	cairnfs_command
	"${mount_command[@]}" && note_daemon
}

# note_daemon: whom cairnfs put in the background.
note_daemon() {
	jq .pid "$home/workspace.db-mount" >"$home/daemon.pid"
}

make_passthrough_ll() {
	mkdir "$dir"
}

mount_passthrough_ll() {
	daemon "$passthrough_ll" -f -o "source=$dir" "$mnt"
}

make_bindfs() {
	mkdir "$dir"
}

mount_bindfs() {
	daemon bindfs -f "$dir" "$mnt"
}

make_gocryptfs() {
	mkdir "$dir"
	gocryptfs -init -q -scryptn 10 -extpass 'echo benchmark' "$dir"
}

mount_gocryptfs() {
	daemon gocryptfs -fg -q -extpass 'echo benchmark' "$dir" "$mnt"
}

# As large as the workloads need, in a file with holes.
make_fuse2fs() {
	truncate -s "$((size_big * 2 / 1048576 + 6144))M" "$home/image"
	mkfs.ext4 -q -F "$home/image"
}

mount_fuse2fs() {
	daemon fuse2fs -f "$home/image" "$mnt"
}

make_peer() {
	mkdir "$dir"
}

# What the user gave, with $DIR for its files and $MNT. It may stay in front or go to the background.
mount_peer() {
	DIR=$dir MNT=$mnt daemon bash -c "${fs_options[$fs]}"
}

# make_fs NAME: an empty one, mounted. For file systems that are to be thrown away: drop_fs.
make_fs() {
	fs_place "$1"
	mkdir -p "$mnt"
	"make_${fs_kind[$fs]}" && mount_fs "$fs"
}

mount_fs() {
	fs_place "$1"
	"mount_${fs_kind[$fs]}"
}

# unmount_fs NAME: returns when the daemon has ended, so that all is in its files.
unmount_fs() {
	local waited=0

	fs_place "$1"
	if [ "${fs_kind[$fs]}" = plain ] || ! is_mounted "$mnt"; then
		return 0
	fi
	if [ "${fs_kind[$fs]}" = cairnfs ]; then
		cairnfs_split "${fs_options[$fs]:-}"
		timeout 300 "$program" umount "$mnt" && rm -f "$home/daemon.pid"
		return
	fi
	until fusermount3 -u "$mnt" 2>>"$home/daemon.log"; do
		waited=$((waited + 1))
		[ "$waited" -le 100 ] || {
			echo "$fs: $mnt stays busy" >&2
			return 1
		}
		sleep 0.1
	done
	wait_for_daemon 1200
}

# wait_for_daemon TENTHS: of a second, at most.
wait_for_daemon() {
	local pid waited=0

	[ -e "$home/daemon.pid" ] || return 0
	pid=$(cat "$home/daemon.pid")
	while is_running "$pid"; do
		waited=$((waited + 1))
		[ "$waited" -le "$1" ] || return 1
		sleep 0.1
	done
	rm "$home/daemon.pid"
}

# detach_fs NAME: unmounts by force, and ends the daemon. Never fails.
detach_fs() {
	fs_place "$1"
	fusermount3 -u -z "$mnt" 2>/dev/null || umount -l "$mnt" 2>/dev/null || true
	if ! wait_for_daemon 50; then
		kill -9 "$(cat "$home/daemon.pid")" 2>/dev/null || true
	fi
}

# drop_fs NAME: unmounts, by force if it must be, and removes everything. Never fails.
drop_fs() {
	fs_place "$1"
	[ -d "$home" ] || return 0
	unmount_fs "$1" >/dev/null 2>&1 || detach_fs "$1"
	rm -rf --one-file-system "$home" || true
}

# remount_cold: the file system at hand, with nothing in the kernel's caches where we may say so.
remount_cold() {
	unmount_fs "$fs"
	settle
	drop_caches
	mount_fs "$fs"
}

# Whether caches can be dropped; otherwise "cold" means no more than "mounted anew".
can_drop_caches() {
	[ "$scale" != tiny ] && [ -w /proc/sys/vm/drop_caches ]
}

drop_caches() {
	if can_drop_caches; then
		echo 3 >/proc/sys/vm/drop_caches
	fi
}

# remount: with nothing in the kernel's caches that belongs to the mount; what lies below it stays.
remount() {
	unmount_fs "$fs"
	mount_fs "$fs"
}

# begin_with DIR: an empty directory on a file system mounted anew: what came before does not matter,
# nor how many files the kernel knows from there.
begin_with() {
	remount
	rm -rf "${mnt:?}/$1"
	mkdir "$mnt/$1"
}

# settle: nothing of what went before is still being written when the measurement begins. On a disk that
# others use that takes long; where sizes are small, and the times no more than a hint, nothing waits for it.
settle() {
	[ "$scale" = full ] || return 0
	timeout "$limit" sync "$mnt" 2>/dev/null || true
	timeout "$limit" sync -f "$work" || true
}

# recover FS: after a failure, the mount may be of no more use to anybody.
recover_fs() {
	local why

	fs_place "$1"
	[ "${fs_kind[$fs]}" != plain ] || return 0
	unmount_fs "$1" >/dev/null 2>&1 || detach_fs "$1"
	why=$(mount_fs "$1" 2>&1) || broken[$1]="not mounted again: ${why##*$'\n'}"
}
