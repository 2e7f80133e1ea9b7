/* Living with other processes that write the same database.
 *
 * The writer looks every CAIRN_FOREIGN_POLL_MS, and at the start of each of its transactions,
 * whether somebody else has committed. When files may have changed, what is clean in core is
 * dropped or read again, and the `on_foreign` hook has the kernel's caches dropped too.
 *
 * What is dirty in core meets the foreign state when its batch is committed, under the write lock.
 * The rules, none of which loses a file (docs/concurrency.md):
 *   - a file that the mount has only read: the other's change stands, and the later atime;
 *   - attributes: the mount's change wins; link counts add up both sides' changes;
 *   - data: the mount's chunks win, and the mount's size;
 *   - a name that both made: the mount's entry keeps it, the other becomes "NAME.conflict-INO";
 *   - a name that the mount removed and the other pointed elsewhere: the other's entry stays;
 *   - an inode that the other deleted while the mount changed it: it comes back, under the root
 *     as "recovered-INO" if no entry is left of it.
 * Each case is logged with the names.
 *
 * A change of what lies under an overlay is met by dropping what is clean alone: what is changed
 * here covers what it was made from, whatever becomes of that. */
#pragma once

#include <stdbool.h>

#include "store/store.h"

struct cairn_batch;
struct cairn_core;
struct cairn_inode;

#define CAIRN_FOREIGN_POLL_MS 250U

/* Asks the store; drops clean state and calls the hook if need be. The writer thread, outside a
 * transaction and with no lock held. */
int cairn_foreign_poll(struct cairn_core *core);
/* Drops what is clean, after a commit that met foreign changes. The same rules. */
void cairn_foreign_react(struct cairn_core *core);

/* Whether all that is dirty of an inode is that it was read: what another process does to it is no
 * conflict then. The inode's lock must be held. */
bool cairn_conflict_only_read(const struct cairn_inode *inode);
/* Takes over what another process has made of such an inode, or that it has deleted it. The later
 * atime stands. The writer thread, with the inode's lock held for writing. */
void cairn_conflict_adopt(struct cairn_inode *inode, const struct cairn_attr *row);
void cairn_conflict_adopt_end(struct cairn_inode *inode);

/* Makes a batch fit a database that others have changed since it was begun. The writer thread,
 * inside its transaction, before the batch is flushed. */
int cairn_conflict_resolve(struct cairn_core *core, struct cairn_batch *batch);
