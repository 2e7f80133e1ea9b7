# What the command line says, and how much there is to do for it. Sourced, not run.
# shellcheck shell=bash

filesystems=()
others=()
workloads=()
metrics_file="$bench/metrics.tsv"
data="$repo/build/bench"
out=
rounds=
scale=full
tree=
ram=
growth=
count_requests=

list() {
	local file

	echo "file systems: ${!fs_kind[*]}"
	for file in metrics growth; do
		load_workloads "$bench/$file.tsv"
		echo "workloads (${file/metrics/default}): ${workloads[*]}"
	done
}

# load_workloads FILE: in the order in which they build upon each other.
load_workloads() {
	mapfile -t workloads < <(awk -F'\t' '!/^#/ && !seen[$2]++ { print $2 }' "$1")
}

# add_fs KIND NAME=OPTIONS
add_fs() {
	local name=${2%%=*}

	[[ "$2" == *=* && "$name" =~ ^[A-Za-z0-9_.-]+$ ]] || die "not NAME=...: $2"
	[ -z "${fs_kind[$name]:-}" ] || die "there is a file system $name already"
	fs_kind["$name"]=$1
	fs_options["$name"]=${2#*=}
	others+=("$name")
}

# chosen LIST NAME...: the members of the comma-separated LIST, each of which must be one of NAMEs.
chosen() {
	local word list

	IFS=, read -r -a list <<<"$1"
	for word in "${list[@]}"; do
		has_member "$word" "${@:2}" || die "unknown: $word; --list shows what there is"
		echo "$word"
	done
}

parse() {
	local only='' fs=''

	while [ $# -gt 0 ]; do
		case $1 in
		--rounds | --fs | --variant | --peer | --only | --dir | --ram | --out | --tree | --scale)
			[ $# -ge 2 ] || die "$1 needs a value; see --help"
			;;
		esac
		case $1 in
		-h | --help) usage && exit ;;
		--list) list && exit ;;
		--quick) scale=quick && shift ;;
		--growth)
			growth=1000000 metrics_file="$bench/growth.tsv" && shift
			if [[ "${1:-}" =~ ^[0-9]+$ ]]; then
				growth=$1 && shift
			fi
			;;
		--requests) count_requests=yes && shift ;;
		--rounds) rounds=$2 && shift 2 ;;
		--fs) fs=$2 && shift 2 ;;
		--variant) add_fs cairnfs "$2" && shift 2 ;;
		--peer) add_fs peer "$2" && shift 2 ;;
		--only) only=$2 && shift 2 ;;
		--dir) data=$(realpath -m "$2") && shift 2 ;;
		--ram) ram=$2 && shift 2 ;;
		--out) out=$(realpath -m "$2") && shift 2 ;;
		--tree) tree=$(realpath "$2") && shift 2 ;;
		--scale) scale=$2 && shift 2 ;;
		*) die "unknown option: $1; see --help" ;;
		esac
	done
	out=${out:-$data/results${growth:+-growth}${count_requests:+-requests}}
	choose_file_systems "$fs"
	load_workloads "$metrics_file"
	if [ -n "$only" ]; then
		only=$(chosen "$only" "${workloads[@]}")
		mapfile -t workloads < <(printf '%s\n' "${workloads[@]}" | grep -xF "$only")
	fi
}

choose_file_systems() {
	local name fs=$1

	if [ -z "$fs" ]; then
		fs=plain,cairnfs,passthrough_ll
		[ "$scale" != full ] || fs+=,bindfs,gocryptfs,fuse2fs
		[ -z "$count_requests$growth" ] || fs=cairnfs
	fi
	fs=$(chosen "$fs" "${!fs_kind[@]}")
	mapfile -t filesystems < <(printf '%s\n' "$fs" "${others[@]}" | awk 'NF && !seen[$0]++')
	for name in "${filesystems[@]}"; do
		[ -z "$growth" ] || [ "${fs_kind[$name]}" = cairnfs ] ||
			die "--growth is about cairnfs, not $name"
		[ -z "$count_requests" ] || [ "$name" != plain ] ||
			die "no requests are sent to a plain directory"
	done
}

# Sizes and counts. limit: seconds for one command, after which it counts as failed; deadline: after which no
# measurement begins; one that is under way has 15 seconds more.
set_scale() {
	tree_part='' ninja_targets=()
	size_big=$((1 << 30)) size_random=$((256 << 20)) count_random=16384
	count_small=5000 count_shells=60 count_micro=2000 count_sync=200 count_sqlite=500
	files_few=10000 files_many=$growth count_growth=2000 size_huge=$((10 << 30))
	limit=600 deadline=1000000000
	case $scale in
	full) ;;
	quick)
		tree_part=cmd/go ninja_targets=(src/libcairnmount.a)
		size_big=$((128 << 20)) size_random=$((32 << 20)) count_random=2048
		count_small=500 count_shells=10 count_micro=500 count_sync=20 count_sqlite=50
		files_few=1000 count_growth=200 size_huge=$((1 << 30))
		limit=30 deadline=140
		;;
	tiny)
		ninja_targets=(bench/bench-timed)
		size_big=$((4 << 20)) size_random=$((4 << 20)) count_random=64
		count_small=120 count_shells=2 count_micro=20 count_sync=5 count_sqlite=5
		files_few=100 count_growth=20 size_huge=$((8 << 20))
		limit=60
		;;
	*) die "unknown scale: $scale; it is full, quick or tiny" ;;
	esac
	if [ -n "$growth" ]; then
		limit=7200 deadline=1000000000
		[ "$growth" -gt "$files_few" ] || die "--growth takes more than $files_few files"
	fi
	rounds=${rounds:-$([ "$scale$count_requests$growth" = full ] && echo 5 || echo 1)}
	[[ "$rounds" =~ ^[1-9][0-9]*$ ]] || die "not a number of rounds: $rounds"
}
