# What must be on the disk before it goes on. Sourced, not run.
# shellcheck shell=bash

appends_prepare() {
	begin_with sync
}

appends_run() {
	(cd "$mnt/sync" && timed appends "$bench_bin/bench-syncers" appends 1 "$count_sync")
}

appends_verify() {
	rmdir "$mnt/sync"
}

# One process; and the same by 16 at once, whose fsyncs a file system may put together.
fsyncers_prepare() {
	begin_with sync
}

fsyncers_run() {
	(cd "$mnt/sync" && measured syncers fsync-1 1 "$count_sync" &&
		measured syncers fsync-16 16 "$count_sync")
	awk -F'\t' '{ rate[$1] = $3 }
		END { printf "fsync-gain\tx\t%.3f\n", rate["fsync-16"] / rate["fsync-1"] }' \
		"$records" >"$home/gain"
	cat "$home/gain" >>"$records"
}

fsyncers_verify() {
	rmdir "$mnt/sync"
}

# sqlite_inserts METRIC JOURNAL-MODE: each row is a transaction.
sqlite_inserts() {
	{
		echo "PRAGMA journal_mode = $2;"
		echo 'CREATE TABLE t(n INTEGER PRIMARY KEY, pad);'
		seq -f "INSERT INTO t VALUES (%.0f, hex(zeroblob(100)));" "$count_sqlite"
	} >"$home/inserts.sql"
	timed "$1" sqlite3 -bail "$mnt/sqlite/db" <"$home/inserts.sql" >"$home/sqlite.out"
	same_text "$(cat "$home/sqlite.out")" "$2"
}

sqlite_prepare() {
	begin_with sqlite
}

sqlite_run() {
	sqlite_inserts sqlite delete
}

sqlite_verify() {
	local seen

	seen=$(sqlite3 "$mnt/sqlite/db" 'SELECT count(*), sum(n) FROM t' 'PRAGMA integrity_check' |
		tr '\n' ' ')
	same_text "$seen" "$count_sqlite|$((count_sqlite * (count_sqlite + 1) / 2)) ok "
	rm -r "$mnt/sqlite"
}

sqlite_wal_prepare() {
	begin_with sqlite
}

sqlite_wal_run() {
	sqlite_inserts sqlite-wal wal
}

sqlite_wal_verify() {
	sqlite_verify
}
