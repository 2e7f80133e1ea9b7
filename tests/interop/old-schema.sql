-- A workspace as AgentFS 0.2 wrote it: fs_inode has neither rdev nor nanoseconds, nothing names
-- the schema's version.
CREATE TABLE fs_config (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE fs_inode (
	ino INTEGER PRIMARY KEY AUTOINCREMENT,
	mode INTEGER NOT NULL,
	nlink INTEGER NOT NULL DEFAULT 0,
	uid INTEGER NOT NULL DEFAULT 0,
	gid INTEGER NOT NULL DEFAULT 0,
	size INTEGER NOT NULL DEFAULT 0,
	atime INTEGER NOT NULL,
	mtime INTEGER NOT NULL,
	ctime INTEGER NOT NULL
);
CREATE TABLE fs_dentry (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL,
	parent_ino INTEGER NOT NULL,
	ino INTEGER NOT NULL,
	UNIQUE(parent_ino, name)
);
CREATE INDEX idx_fs_dentry_parent ON fs_dentry(parent_ino, name);
CREATE TABLE fs_data (
	ino INTEGER NOT NULL,
	chunk_index INTEGER NOT NULL,
	data BLOB NOT NULL,
	PRIMARY KEY (ino, chunk_index)
);
CREATE TABLE fs_symlink (ino INTEGER PRIMARY KEY, target TEXT NOT NULL);
CREATE TABLE kv_store (
	key TEXT PRIMARY KEY,
	value TEXT NOT NULL,
	created_at INTEGER DEFAULT (unixepoch()),
	updated_at INTEGER DEFAULT (unixepoch())
);
CREATE TABLE tool_calls (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL,
	parameters TEXT,
	result TEXT,
	error TEXT,
	status TEXT NOT NULL DEFAULT 'pending',
	started_at INTEGER NOT NULL,
	completed_at INTEGER,
	duration_ms INTEGER
);

INSERT INTO fs_config VALUES ('chunk_size', '4096');
-- 16877 is a directory 0755, 33188 a file 0644, 41471 a symlink.
INSERT INTO fs_inode (ino, mode, nlink, size, atime, mtime, ctime) VALUES
	(1, 16877, 1, 0, 1700000000, 1700000001, 1700000002),
	(2, 16877, 1, 0, 1700000010, 1700000011, 1700000012),
	(3, 33188, 1, 5000, 1700000020, 1700000021, 1700000022),
	(4, 33188, 2, 6, 1700000030, 1700000031, 1700000032),
	(5, 41471, 1, 8, 1700000040, 1700000041, 1700000042);
INSERT INTO fs_dentry (name, parent_ino, ino) VALUES
	('dir', 1, 2), ('two-chunks', 2, 3), ('one', 1, 4), ('two', 2, 4), ('link', 1, 5);
INSERT INTO fs_data VALUES
	(3, 0, CAST(printf('%.4096c', 'a') AS BLOB)),
	(3, 1, CAST(printf('%.904c', 'b') AS BLOB)),
	(4, 0, CAST('hello' || char(10) AS BLOB));
INSERT INTO fs_symlink VALUES (5, 'dir/../x');
INSERT INTO kv_store (key, value, created_at, updated_at) VALUES ('k', '{"v":1}', 5, 6);
