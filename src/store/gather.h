/* A SQLite VFS that gathers the writes to the write-ahead log.
 *
 * SQLite writes a frame of the log as two calls, of 24 bytes and of a page: a quarter of a million
 * calls for a file of 1 GiB. One lies behind the other. Here they are kept in memory and written
 * with one call where it can be so.
 *
 * Nobody can tell, because what is kept is written before anything depends on it: with the last
 * frame of a transaction, which says in its header that it is one, and before any other call that
 * concerns the log (a read, a sync, its size). Only after the last frame SQLite lets others see the
 * transaction, in the WAL index. A write that fails is the failure of the last one that was
 * gathered, and the transaction fails. What is not written when a transaction gives up its lock was
 * rolled back, and is forgotten: where it would lie, another process may write.
 *
 * What a checkpoint writes to the database is not gathered. When it could not copy all, SQLite
 * tells the readers at once after the last write, without another call that would say so.
 *
 * The files are those of the default VFS of the moment, so what tests put in its place sees the
 * gathered writes. For connections that write; readers need it not. */
#pragma once

/* Name of the VFS, registered on first use; NULL, the default one, where it cannot be (too little
 * memory). From any thread. */
const char *cairn_gather_vfs(void);
