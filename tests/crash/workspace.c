#include "workspace.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "listing.h"

struct report {
	FILE *out;
	unsigned int lines;
};

static int report_line(void *arg, int columns, char **values, char **names)
{
	struct report *report = arg;

	report->lines++;
	fprintf(report->out, "%s\n", values[0] ? values[0] : "NULL");
	return 0;
}

static int report_unless_ok(void *arg, int columns, char **values, char **names)
{
	if (values[0] && strcmp(values[0], "ok") == 0)
		return 0;
	return report_line(arg, columns, values, names);
}

static char *read_text(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text;
	long size;

	if (!file)
		return NULL;
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	rewind(file);
	text = must_alloc((size_t)size + 1);
	if (fread(text, 1, (size_t)size, file) != (size_t)size) {
		free(text);
		text = NULL;
	}
	fclose(file);
	return text;
}

static int list_based(sqlite3 *db)
{
	int rc = sqlite3_exec(db, "CREATE TEMP TABLE based (ino INTEGER PRIMARY KEY)", NULL, NULL,
			      NULL);

	if (rc != SQLITE_OK || sqlite3_table_column_metadata(db, "main", "cairn_origin", NULL, NULL,
							     NULL, NULL, NULL, NULL) != SQLITE_OK)
		return rc;
	return sqlite3_exec(db,
			    "INSERT INTO temp.based SELECT delta_ino FROM main.cairn_origin "
			    "UNION SELECT 1",
			    NULL, NULL, NULL);
}

static int run(sqlite3 *db, const char *invariants, bool no_orphans, struct report *report)
{
	char *text = read_text(invariants);
	int rc;

	if (!text)
		return SQLITE_CANTOPEN;
	sqlite3_busy_timeout(db, 10000);
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	rc = sqlite3_exec(db, "PRAGMA integrity_check", report_unless_ok, report, NULL);
	if (rc == SQLITE_OK)
		rc = list_based(db);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, text, report_line, report, NULL);
	if (rc == SQLITE_OK && no_orphans)
		rc = sqlite3_exec(db, "SELECT 'orphan ' || ino || ' is left' FROM cairn_orphan",
				  report_line, report, NULL);
	free(text);
	return rc;
}

bool workspace_check(const char *path, const char *invariants, bool no_orphans, FILE *out)
{
	struct report report = { .out = out };
	sqlite3 *db = NULL;
	int rc;

	rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL);
	if (rc == SQLITE_OK)
		rc = run(db, invariants, no_orphans, &report);
	if (rc != SQLITE_OK)
		fprintf(out, "%s: %s\n", path, db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
	sqlite3_close(db);
	return rc == SQLITE_OK && report.lines == 0;
}
