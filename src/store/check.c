#include "store/check_internal.h"

#include <string.h>

/* Each pass mends one stage; mending a later stage rarely brings up an earlier one. */
#define PASSES_MAX 32U

/* How often a lock error is retried, each time after the busy timeout. */
#define BUSY_ROUNDS 3U

#define CACHE_KIB 16384U

/* Virtual machine steps between two calls of `progress`. */
#define PROGRESS_STEPS 100000

/* What integrity_check says per call; more than examples are shown only counted. */
#define INTEGRITY_TEXT "PRAGMA integrity_check(100)"

/* Beside the rules of the table: their bits in `reported`, after those of the table. */
static const struct cairn_check_rule integrity_rule = {
	.code = "damaged",
	.what = "SQLite finds the file damaged; nothing in it is repaired",
	.action = "recover what can be read: sqlite3 FILE .recover | sqlite3 NEW",
};
static const struct cairn_check_rule index_rule = {
	.code = "index",
	.what = "an index does not agree with its table, or a column holds what it must not",
	.action = "build the indexes again",
	.repair = { "REINDEX" },
};

/* The rules that a survey found broken. */
struct survey {
	uint64_t broken; /* bit n: rule n */
	uint64_t errors, notes;
	unsigned int stage; /* the first with something to mend; UINT32_MAX: none */
	bool incomplete;
};

static bool is_repairable(const struct cairn_check_rule *rule)
{
	return !rule->note && (rule->repair[0] || rule->mend);
}

static int tick(void *arg)
{
	struct cairn_check *check = arg;

	check->options->progress(check->options->arg, check->step, check->done, check->total);
	return 0;
}

static void next_step(struct cairn_check *check, const char *step)
{
	check->step = step;
	check->done++;
	if (check->options->progress)
		tick(check);
}

int cairn_check_run(struct cairn_check *check, const char *const *texts, size_t max)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < max && texts[i]; i++)
		r = cairn_sql_exec(check->sql, texts[i]);
	return r;
}

static void finding_init(struct cairn_check_finding *ret, const struct cairn_check_rule *rule)
{
	*ret = (struct cairn_check_finding){
		.code = rule->code,
		.what = rule->what,
		.action = rule->action,
		.error = !rule->note,
		.repairable = is_repairable(rule),
	};
}

static void finding_add(struct cairn_check_finding *finding, const char *example)
{
	finding->count++;
	if (finding->examples == CAIRN_CHECK_EXAMPLES)
		return;
	sqlite3_snprintf((int)CAIRN_CHECK_EXAMPLE_MAX, finding->example[finding->examples++], "%s",
			 example);
}

/* Passes a finding on: the first time it is found, and at the end. */
static void report(struct cairn_check *check, const struct cairn_check_finding *finding,
		   uint64_t bit, bool left)
{
	const struct cairn_check_options *options = check->options;

	if (!left) {
		if (check->reported & bit)
			return;
		check->reported |= bit;
		*(finding->error ? &check->result->errors : &check->result->notes) +=
			finding->count;
	}
	if (options->report && (!left || finding->error))
		options->report(options->arg, finding, left);
}

static void survey_add(struct cairn_check *check, struct survey *survey,
		       const struct cairn_check_rule *rule,
		       const struct cairn_check_finding *finding, uint64_t bit, bool left)
{
	if (finding->count == 0)
		return;
	report(check, finding, bit, left);
	survey->broken |= bit;
	if (rule->note)
		return;
	survey->errors += finding->count;
	if (is_repairable(rule))
		survey->stage = MIN(survey->stage, rule->stage);
}

static int find(struct cairn_check *check, const struct cairn_check_rule *rule,
		struct cairn_check_finding *ret)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	next_step(check, rule->what);
	finding_init(ret, rule);
	if ((check->have & rule->needs) != rule->needs)
		return 0;
	cairn_query_once(&q, check->sql, rule->find);
	while ((r = cairn_query_step(&q)) > 0) {
		const char *text = (const char *)sqlite3_column_text(q.stmt, 0);

		finding_add(ret, text ? text : "?");
	}
	return r;
}

/* Lines of integrity_check that tell of wrong rows or indexes in a sound file. */
static bool is_about_rows(const char *message)
{
	static const char *const patterns[] = {
		"missing from index", "wrong # of entries in index", "non-unique entry in index",
		" value in ",         "CHECK constraint failed in",  "values differ from index",
	};

	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++)
		if (strstr(message, patterns[i]))
			return true;
	return false;
}

static void judge_integrity(const char *message, struct cairn_check_finding *damaged,
			    struct cairn_check_finding *indexes)
{
	char line[CAIRN_CHECK_EXAMPLE_MAX];

	if (strcmp(message, "ok") == 0)
		return;
	while (*message) {
		size_t len = strcspn(message, "\n");

		sqlite3_snprintf(sizeof(line), line, "%.*s", (int)MIN(len, sizeof(line)), message);
		message += len + (message[len] == '\n');
		/* "*** in database main ***" introduces others. */
		if (strncmp(line, "***", 3) != 0)
			finding_add(is_about_rows(line) ? indexes : damaged, line);
	}
}

static int check_integrity(struct cairn_check *check, struct survey *survey, bool left)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	struct cairn_check_finding damaged, indexes;
	uint64_t bit = UINT64_C(1) << cairn_check_rule_count;
	int r;

	next_step(check, "the database file");
	finding_init(&damaged, &integrity_rule);
	finding_init(&indexes, &index_rule);
	cairn_query_once(&q, check->sql, INTEGRITY_TEXT);
	while ((r = cairn_query_step(&q)) > 0) {
		const char *text = (const char *)sqlite3_column_text(q.stmt, 0);

		if (!text)
			return -ENOMEM;
		judge_integrity(text, &damaged, &indexes);
	}
	/* It may give up in the middle. */
	if (r == -EIO)
		finding_add(&damaged, sqlite3_errmsg(check->sql->db));
	else if (r < 0)
		return r;
	check->structural = damaged.count > 0;
	survey_add(check, survey, &integrity_rule, &damaged, bit, left);
	survey_add(check, survey, &index_rule, &indexes, bit << 1, left);
	return 0;
}

/* Runs every rule. In a damaged file a rule that cannot be run is left out. */
static int survey_rules(struct cairn_check *check, struct survey *survey, bool left)
{
	struct cairn_check_finding finding;
	int r;

	r = cairn_check_prepare(check);
	for (unsigned int i = 0; r == 0 && i < cairn_check_rule_count; i++) {
		r = find(check, &cairn_check_rules[i], &finding);
		if (r == 0)
			survey_add(check, survey, &cairn_check_rules[i], &finding, UINT64_C(1) << i,
				   left);
	}
	if (r == -EIO && check->structural) {
		survey->incomplete = true;
		return 0;
	}
	return r;
}

static int mend(struct cairn_check *check, const struct cairn_check_rule *rule)
{
	next_step(check, rule->action);
	if (rule->mend)
		return rule->mend(check);
	return cairn_check_run(check, rule->repair, ARRAY_SIZE(rule->repair));
}

static void survey_init(struct survey *ret)
{
	*ret = (struct survey){ .stage = UINT32_MAX };
}

/* Mends stage after stage, each from a new survey. `survey` is the one before, then the last. */
static int mend_stages(struct cairn_check *check, struct survey *survey, struct cairn_error *err)
{
	int r;

	for (unsigned int pass = 0; survey->stage != UINT32_MAX; pass++) {
		if (pass == PASSES_MAX)
			return cairn_error_set(err, -ELOOP,
					       "'%s' cannot be repaired: the errors come back; "
					       "copy its files to a new workspace",
					       check->store->probe.real_path);
		for (unsigned int i = 0; i < cairn_check_rule_count; i++) {
			const struct cairn_check_rule *rule = &cairn_check_rules[i];

			if (!(survey->broken >> i & 1) || rule->stage != survey->stage ||
			    !is_repairable(rule))
				continue;
			r = mend(check, rule);
			if (r < 0)
				return r;
		}
		survey_init(survey);
		r = survey_rules(check, survey, false);
		if (r < 0)
			return r;
	}
	return cairn_check_count_directories(check);
}

static int say_broken(struct cairn_check *check, int r, const char *what, struct cairn_error *err)
{
	return cairn_error_set(err, r, "'%s' %s: %s", check->store->probe.real_path, what,
			       r == -EIO ? sqlite3_errmsg(check->sql->db) : strerror(-r));
}

/* The root, without which cairn_schema_check() goes no further, and the indexes, without which no
 * query can be relied on. Both are mended before the survey. */
static int check_first(struct cairn_check *check, struct survey *survey, struct cairn_error *err)
{
	struct cairn_check_finding finding;
	uint64_t bit = UINT64_C(1) << (cairn_check_rule_count + 2);
	bool may_mend;
	int r;

	r = check_integrity(check, survey, false);
	if (r < 0)
		return say_broken(check, r, "cannot be read", err);
	may_mend = check->options->repair && !check->structural;
	/* Fails where rows are not unique, which the rules see to. */
	if (may_mend && survey->stage == 0)
		mend(check, &index_rule);
	/* No such table: the schema's check has the words for that. */
	if (find(check, &cairn_check_root_rule, &finding) < 0 || finding.count == 0)
		return 0;
	survey_add(check, survey, &cairn_check_root_rule, &finding, bit, false);
	survey->incomplete = !may_mend;
	if (!may_mend)
		return 0;
	r = mend(check, &cairn_check_root_rule);
	if (r == -EIO)
		return 0; /* other tables are missing: again, the schema's check has the words */
	return r < 0 ? say_broken(check, r, "cannot get a root directory", err) : 0;
}

static int count_all(struct cairn_check *check)
{
	int64_t count = 0;
	int r;

	r = cairn_sql_get_int(check->sql, "SELECT COUNT(*) FROM fs_inode", &count);
	if (r < 0)
		return r;
	check->result->inodes = (uint64_t)count;
	r = cairn_sql_get_int(check->sql, "SELECT COUNT(*) FROM fs_dentry", &count);
	if (r < 0)
		return r;
	check->result->entries = (uint64_t)count;
	return 0;
}

/* Everything that is found before anything else is done. */
static int look(struct cairn_check *check, struct survey *survey, struct cairn_error *err)
{
	struct cairn_schema *schema = &check->store->schema;
	int r;

	r = check_first(check, survey, err);
	if (r < 0 || survey->incomplete)
		return r;
	r = cairn_schema_check(check->sql, check->store->probe.real_path, schema, err);
	if (r == -EIO && check->structural) {
		survey->incomplete = true;
		return 0;
	}
	if (r < 0)
		return say_broken(check, r, "cannot be read", err);
	check->chunk_size = schema->chunk_size;
	if (!schema->missing)
		check->have |= CAIRN_CHECK_ADDED_COLUMNS;
	r = count_all(check);
	if (r == 0)
		r = survey_rules(check, survey, false);
	if (r == -EIO && check->structural) {
		survey->incomplete = true;
		return 0;
	}
	return r < 0 ? say_broken(check, r, "cannot be checked", err) : 0;
}

/* Mends, fills and looks again, in the open transaction; commits unless that was in vain. */
static int change(struct cairn_check *check, struct survey *survey, struct cairn_error *err)
{
	const struct cairn_check_options *options = check->options;
	bool mended = false;
	int r;

	if (options->repair && check->result->errors > 0) {
		r = mend_stages(check, survey, err);
		if (r < 0)
			return say_broken(check, r, "cannot be repaired", err);
		mended = true;
	}
	if (options->dense && survey->errors == 0) {
		r = cairn_check_fill_holes(check, err);
		if (r < 0)
			return say_broken(check, r, "cannot have its holes filled", err);
	}
	if (!mended && check->result->holes == 0)
		return 0;
	survey_init(survey);
	r = check_integrity(check, survey, true);
	if (r == 0)
		r = survey_rules(check, survey, true);
	/* What made nothing better is not kept, nor what may have made it worse. */
	if (r == 0 && (check->structural ||
		       (survey->errors > 0 && survey->errors >= check->result->errors))) {
		check->result->holes = check->result->filled = 0;
		return 0;
	}
	if (r == 0)
		r = cairn_sql_exec(check->sql, "COMMIT");
	if (r < 0)
		return say_broken(check, r, "cannot be repaired", err);
	check->result->repaired = mended;
	return 0;
}

static void forget_changes(struct cairn_check *check, int r)
{
	check->result->repair_failed = r;
	check->result->holes = 0;
	check->result->filled = 0;
	check->result->left = check->result->errors;
}

static int run(struct cairn_check *check, struct cairn_error *err)
{
	_cleanup_(cairn_sql_rollbackp) struct cairn_sql *open = check->sql;
	bool write = check->options->repair || check->options->dense;
	struct survey survey;
	int r;

	survey_init(&survey);
	r = cairn_sql_exec(check->sql, write ? "BEGIN IMMEDIATE" : "BEGIN");
	if (r < 0)
		return r == -EAGAIN ? r : say_broken(check, r, "cannot be read", err);
	r = look(check, &survey, err);
	if (r < 0)
		return r;
	check->result->incomplete = survey.incomplete;
	if (write && !check->structural && !survey.incomplete) {
		r = change(check, &survey, err);
		if (r < 0) {
			forget_changes(check, r);
			return 0;
		}
	}
	check->result->left = survey.errors;
	return 0;
}

/* Which of the tables that not every workspace has are there, with the columns that count. */
static int probe_tables(struct cairn_check *check)
{
#define HAS(table, count, columns)                                                                 \
	"SELECT COUNT(*) = " count " FROM sqlite_schema AS s JOIN pragma_table_info(s.name) AS c " \
	"WHERE s.type = 'table' AND s.rootpage > 0 AND s.name = '" table                           \
	"' AND c.name IN (" columns ")"
	static const struct {
		unsigned int have;
		const char *text;
	} tables[] = {
		{ CAIRN_CHECK_XATTR, HAS("cairn_xattr", "3", "'ino', 'name', 'value'") },
		{ CAIRN_CHECK_ORPHAN, HAS("cairn_orphan", "1", "'ino'") },
		{ CAIRN_CHECK_ORIGIN, HAS("fs_origin", "1", "'delta_ino'") },
		{ CAIRN_CHECK_WHITEOUT, HAS("fs_whiteout", "2", "'path', 'parent_path'") },
		{ CAIRN_CHECK_BASED,
		  HAS("cairn_origin", "4", "'delta_ino', 'base_ino', 'base_path', 'data_end'") },
		{ CAIRN_CHECK_SEEN, HAS("cairn_seen", "1", "'path'") },
		{ CAIRN_CHECK_SEQUENCE, HAS("sqlite_sequence", "2", "'name', 'seq'") },
	};
#undef HAS
	int64_t there = 0;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		r = cairn_sql_get_int(check->sql, tables[i].text, &there);
		if (r < 0)
			return r;
		if (there)
			check->have |= tables[i].have;
	}
	if (!(check->have & CAIRN_CHECK_SEQUENCE))
		check->have |= CAIRN_CHECK_NO_SEQUENCE;
	return 0;
}

int cairn_check_prepare(struct cairn_check *check)
{
	static const char *const texts[] = {
		"CREATE TEMP TABLE IF NOT EXISTS cairn_named "
		"(ino INTEGER PRIMARY KEY, names INTEGER, entry INTEGER)",
		"CREATE TEMP TABLE IF NOT EXISTS cairn_orphaned (ino INTEGER PRIMARY KEY)",
		"CREATE TEMP TABLE IF NOT EXISTS cairn_based "
		"(ino INTEGER PRIMARY KEY, data_end INTEGER)",
		"CREATE TEMP TABLE IF NOT EXISTS cairn_rooted (ino INTEGER PRIMARY KEY)",
		"DELETE FROM temp.cairn_named",
		"DELETE FROM temp.cairn_orphaned",
		"DELETE FROM temp.cairn_based",
		"DELETE FROM temp.cairn_rooted",
		"INSERT INTO temp.cairn_named SELECT ino, COUNT(*), MIN(id) FROM fs_dentry "
		"WHERE typeof(ino) = 'integer' GROUP BY ino",
	};
	static const char *const orphaned_text =
		"INSERT OR IGNORE INTO temp.cairn_orphaned SELECT ino FROM cairn_orphan";
	static const char *const based_text =
		"INSERT OR IGNORE INTO temp.cairn_based SELECT delta_ino, data_end "
		"FROM cairn_origin WHERE base_path <> ''";
	static const char *const rooted_text =
		"INSERT INTO temp.cairn_rooted WITH RECURSIVE below (ino) AS (SELECT 1 UNION "
		"SELECT i.ino FROM fs_inode AS i WHERE NOT EXISTS "
		"(SELECT 1 FROM temp.cairn_named AS n WHERE n.ino = i.ino) UNION "
		"SELECT d.ino FROM below JOIN fs_dentry AS d ON d.parent_ino = below.ino "
		"WHERE typeof(d.ino) = 'integer') SELECT ino FROM below";
	int r;

	next_step(check, "the tree");
	r = cairn_check_run(check, texts, ARRAY_SIZE(texts));
	if (r == 0 && check->have & CAIRN_CHECK_ORPHAN)
		r = cairn_sql_exec(check->sql, orphaned_text);
	if (r == 0 && check->have & CAIRN_CHECK_BASED)
		r = cairn_sql_exec(check->sql, based_text);
	if (r == 0)
		r = cairn_sql_exec(check->sql, rooted_text);
	return r;
}

static int open_file(struct sqlite_store *store, const char *path,
		     const struct cairn_check_options *options, struct cairn_error *err)
{
	bool read_only = !options->repair && !options->dense, auto_vacuum;
	int r;

	r = cairn_sqlite_find(store, path, read_only, options->busy_timeout_ms, err);
	if (r < 0)
		return r;
	r = cairn_sqlite_connect(&store->sql, &store->target, store);
	if (r < 0)
		return r;
	store->sql.busy_rounds = BUSY_ROUNDS;
	r = cairn_probe_header(&store->sql, path, &auto_vacuum, err);
	if (r < 0)
		return r;
	return cairn_sql_configure(&store->sql, CACHE_KIB, false);
}

static int start(struct cairn_check *check)
{
	int r;

	r = cairn_check_add_functions(check);
	if (r < 0)
		return r;
	/* Integrity, the tree and the rules; repairs add to it as they come up. */
	check->total = cairn_check_rule_count + 3;
	if (check->options->progress)
		sqlite3_progress_handler(check->sql->db, PROGRESS_STEPS, tick, check);
	return probe_tables(check);
}

int cairn_check(const char *path, const struct cairn_check_options *options,
		struct cairn_check_result *ret, struct cairn_error *err)
{
	_cleanup_(cairn_sqlite_freep) struct sqlite_store *store = calloc(1, sizeof(*store));
	struct cairn_check_result result = { 0 };
	struct cairn_check check = { .store = store, .options = options, .result = &result };
	int r;

	if (!store)
		return cairn_error_set(err, -ENOMEM, "cannot check '%s': out of memory", path);
	check.sql = &store->sql;
	r = open_file(store, path, options, err);
	if (r == 0)
		r = start(&check);
	if (r == 0)
		r = run(&check, err);
	if (r == -EAGAIN) {
		cairn_sqlite_freep(&store);
		return cairn_sqlite_say_locked(path, err);
	}
	if (r < 0)
		return cairn_error_set(err, r, "cannot check '%s': %s", path,
				       r == -EIO && store->sql.db ? sqlite3_errmsg(store->sql.db)
								  : strerror(-r));
	*ret = result;
	return 0;
}
