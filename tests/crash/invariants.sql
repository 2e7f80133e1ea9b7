-- What holds in every workspace at every moment. Each query answers a line for each thing that is
-- wrong; nothing wrong is no line at all. Reads the workspace only. temp.based, if the caller made
-- it, holds the inodes that have something of a base: names, entries or bytes.

CREATE TEMP TABLE IF NOT EXISTS based (ino INTEGER PRIMARY KEY);

SELECT 'entry ' || id || ' names no inode: ' || ino FROM fs_dentry
	WHERE ino NOT IN (SELECT ino FROM fs_inode) LIMIT 20;

SELECT 'entry ' || d.id || ' is not in a directory: ' || d.parent_ino FROM fs_dentry d
	LEFT JOIN fs_inode p ON p.ino = d.parent_ino
	WHERE p.ino IS NULL OR p.mode & 0xf000 <> 0x4000 LIMIT 20;

SELECT 'inode ' || ino || ' has no entry' FROM fs_inode
	WHERE ino <> 1 AND ino NOT IN (SELECT ino FROM fs_dentry)
	AND ino NOT IN (SELECT ino FROM cairn_orphan)
	AND ino NOT IN (SELECT ino FROM temp.based) LIMIT 20;

SELECT 'orphan ' || ino || ' has an entry' FROM cairn_orphan
	WHERE ino IN (SELECT ino FROM fs_dentry) LIMIT 20;

SELECT 'orphan ' || ino || ' has no inode' FROM cairn_orphan
	WHERE ino NOT IN (SELECT ino FROM fs_inode) LIMIT 20;

SELECT 'inode ' || i.ino || ' has nlink ' || i.nlink || ', not ' || COALESCE(d.n, 0)
	FROM fs_inode i LEFT JOIN (SELECT ino, COUNT(*) AS n FROM fs_dentry GROUP BY ino) d
	ON d.ino = i.ino
	WHERE i.mode & 0xf000 <> 0x4000 AND i.nlink <> COALESCE(d.n, 0)
	AND NOT (i.nlink > COALESCE(d.n, 0) AND i.ino IN (SELECT ino FROM temp.based)) LIMIT 20;

SELECT 'directory ' || i.ino || ' has nlink ' || i.nlink || ', not ' || (2 + COALESCE(d.n, 0))
	FROM fs_inode i LEFT JOIN (SELECT e.parent_ino, COUNT(*) AS n FROM fs_dentry e
		JOIN fs_inode c ON c.ino = e.ino WHERE c.mode & 0xf000 = 0x4000
		GROUP BY e.parent_ino) d ON d.parent_ino = i.ino
	WHERE i.mode & 0xf000 = 0x4000 AND i.nlink <> 2 + COALESCE(d.n, 0)
	AND i.ino NOT IN (SELECT ino FROM cairn_orphan)
	AND i.ino NOT IN (SELECT ino FROM temp.based) LIMIT 20;

SELECT 'directory ' || i.ino || ' has ' || COUNT(*) || ' entries' FROM fs_dentry d
	JOIN fs_inode i ON i.ino = d.ino WHERE i.mode & 0xf000 = 0x4000
	GROUP BY i.ino HAVING COUNT(*) > 1 LIMIT 20;

WITH RECURSIVE reached(ino) AS (
	SELECT 1 UNION SELECT d.ino FROM fs_dentry d JOIN reached r ON r.ino = d.parent_ino)
SELECT 'inode ' || ino || ' is not reached from the root' FROM fs_inode
	WHERE ino NOT IN (SELECT ino FROM reached) AND ino NOT IN (SELECT ino FROM cairn_orphan)
	AND ino NOT IN (SELECT ino FROM temp.based) LIMIT 20;

SELECT DISTINCT 'data of no regular file: inode ' || c.ino FROM fs_data c
	LEFT JOIN fs_inode i ON i.ino = c.ino
	WHERE i.ino IS NULL OR i.mode & 0xf000 <> 0x8000 LIMIT 20;

SELECT 'inode ' || i.ino || ' of ' || i.size || ' bytes has ' || LENGTH(c.data)
		|| ' bytes in chunk ' || c.chunk_index
	FROM fs_data c JOIN fs_inode i ON i.ino = c.ino,
		(SELECT CAST(value AS INTEGER) AS size FROM fs_config WHERE key = 'chunk_size') s
	WHERE c.chunk_index < 0 OR c.chunk_index * s.size + LENGTH(c.data) > i.size
	OR (LENGTH(c.data) = 0 AND i.ino NOT IN (SELECT ino FROM temp.based))
	OR (LENGTH(c.data) > 0 AND LENGTH(c.data) < s.size
		AND (c.chunk_index + 1) * s.size <= i.size) LIMIT 20;

SELECT 'target of no symbolic link: inode ' || s.ino FROM fs_symlink s
	LEFT JOIN fs_inode i ON i.ino = s.ino
	WHERE i.ino IS NULL OR i.mode & 0xf000 <> 0xa000 LIMIT 20;

SELECT 'symbolic link without a target of its size: inode ' || i.ino FROM fs_inode i
	LEFT JOIN fs_symlink s ON s.ino = i.ino
	WHERE i.mode & 0xf000 = 0xa000
	AND (s.ino IS NULL OR LENGTH(CAST(s.target AS BLOB)) <> i.size) LIMIT 20;

SELECT DISTINCT 'extended attribute of no inode: ' || ino FROM cairn_xattr
	WHERE ino NOT IN (SELECT ino FROM fs_inode) LIMIT 20;

-- A number that is given out twice would join two files.
SELECT 'the next number of ' || s.name || ', ' || s.seq || ', is taken' FROM sqlite_sequence s
	WHERE (s.name = 'fs_inode' AND s.seq < (SELECT MAX(ino) FROM fs_inode))
	OR (s.name = 'fs_dentry' AND s.seq < (SELECT MAX(id) FROM fs_dentry));
