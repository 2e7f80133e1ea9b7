/* A core over a SQLite store in a temporary directory, and checks of the file it leaves behind.
 *
 * Plain C, because Criterion does not start under ThreadSanitizer: what must hold here is
 * checked with CF_CHECK, which says where and aborts. One fixture a process, `cf`. Set
 * cf.options, cf.chunk_size and cf.faulty between cf_setup() and cf_make()/cf_open(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/core.h"
#include "core/internal.h"
#include "fault_store.h"

#define CF_ROOT CAIRN_ROOT_INO

#define CF_CHECK(condition, ...)                                                                   \
	do {                                                                                       \
		if (!(condition))                                                                  \
			cf_die(__FILE__, __LINE__, #condition, " " __VA_ARGS__);                   \
	} while (0)
#define CF_OK(call)                                                                                \
	do {                                                                                       \
		long r_ = (long)(call);                                                            \
		CF_CHECK(r_ >= 0, "%s = %ld", #call, r_);                                          \
	} while (0)

struct core_fixture {
	char dir[256];
	char db[512];  /* <dir>/work.db */
	char log[512]; /* <dir>/log */
	struct cairn_log log_to;
	size_t chunk_size; /* of workspaces made from now on; 0: the default */
	unsigned int busy_timeout_ms;
	struct cairn_core_options options;
	bool faulty; /* put a fault_store between */
	/* The base that cf_make() gives the workspace, a path; "": none. Its calls count in the
	 * fault_store, too. */
	char base[512];
	size_t copy_whole; /* as in struct cairn_store_options */
	struct cairn_core *core;
	struct fault_store *fault; /* where faulty and open */
	/* Called, if set, when the store is open and the core is not yet; cf.fault is there. */
	void (*before_core)(void);
};

extern struct core_fixture cf;
extern const struct cairn_caller cf_caller;

/* Says what is wrong, removes the directory and aborts. */
__attribute__((noreturn)) void cf_die(const char *file, int line, const char *condition,
				      const char *fmt, ...) _printf_(4, 5);

/* An empty directory; then with a workspace; then with a core open on it. */
void cf_setup(void);
void cf_setup_made(void);
void cf_setup_open(void);
/* Closes what is open and removes the directory. */
void cf_teardown(void);
/* For a test that ends in a signal: what is open goes on working without its files. */
void cf_remove_dir(void);

void cf_make(void);
int cf_try_open(void);
void cf_open(void);
int cf_close(void);
/* Closes, which must succeed, checks the file, and opens again. */
void cf_reopen(void);

/* What kill -9 would leave at this moment, as the workspace cf_crash_db(): the database and its
 * WAL. Nothing may be writing meanwhile. */
void cf_crash_copy(void);
const char *cf_crash_db(void);
/* The same workspace from now on. */
void cf_switch_to_crash(void);
/* Puts what that copy holds in the place of the workspace, which nobody has open. */
void cf_restore_crash(void);

/* Waits until everything so far is committed, and until nothing of it is in core. */
void cf_commit(void);
void cf_settle(void);
/* Ends the running batch's life as a running one: commits with the writer held at `begin`, so
 * that what was changed so far is the batch being committed until cf_let_go(). Needs cf.faulty. */
void cf_hold_commit(void);
void cf_let_go(void);

/* Make something in a directory and give its number; the pin stays. */
uint64_t cf_file(uint64_t parent, const char *name);
uint64_t cf_mkdir(uint64_t parent, const char *name);
/* 0 or -errno of a lookup that keeps no pin. */
int cf_lookup(uint64_t parent, const char *name, struct cairn_attr *ret);
uint64_t cf_ino(uint64_t parent, const char *name);
struct cairn_attr cf_attr(uint64_t ino);
int cf_write(uint64_t ino, const void *buf, size_t size, off_t offset);
int cf_write_text(uint64_t ino, const char *text);
int cf_truncate(uint64_t ino, int64_t size);
/* Whether the file holds just these bytes. */
bool cf_holds(uint64_t ino, const void *bytes, size_t size);
/* Names in a directory without the dots, in order of position, each followed by '/'. */
const char *cf_list(uint64_t ino);
/* How many entries without the dots. */
unsigned int cf_count(uint64_t ino);

/* Of a file that nobody has open: integrity_check and the rules of the format. Says what is wrong
 * and returns how many rules are broken. */
unsigned int cf_broken_rules(const char *db);
void cf_expect_sound(const char *db);
/* The first column of the first row; INT64_MIN where there is none. */
int64_t cf_number(const char *db, const char *sql);
void cf_sql(const char *db, const char *sql);
bool cf_log_has(const char *text);
