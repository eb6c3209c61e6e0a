/*
 * catalog.c - the scope that catalog access runs in, and every statement on studies
 *
 * The catalog*.c files alone name the tables of schema hyperband: this one, catalog_trial.c (what is
 * below a study), catalog_model.c (models and grants) and catalog_progress.c (the view).  A scope runs as the
 * extension's owner, so that row security and missing privileges of the caller do not apply, with
 * search_path pinned, so that nothing a user made is found by name.
 */
#include "pg/catalog.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"

#include "pg/statement.h"

#define EXTENSION_NAME "hyperband"
#define SCHEMA_NAME "hyperband"

PG_FUNCTION_INFO_V1(hb_sql_study_is_held);

/* ---- scopes ---- */

/* What every call asks first, remembered until anything changes about a relation: the extension's are among them. */
static Oid known_extension = InvalidOid;
static Oid known_owner = InvalidOid;

static void
forget_extension(Datum arg, Oid relation_id)
{
	known_extension = InvalidOid;
}

static void
learn_extension(void)
{
	static bool registered = false;
	Relation relation = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	if (!registered)
		CacheRegisterRelcacheCallback(forget_extension, (Datum) 0);
	registered = true;
	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(EXTENSION_NAME));
	scan = systable_beginscan(relation, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		known_extension = ((Form_pg_extension) GETSTRUCT(tuple))->oid;
		known_owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
}

Oid
hb_catalog_extension(void)
{
	if (!OidIsValid(known_extension))
		learn_extension();
	return known_extension;
}

Oid
hb_catalog_schema(void)
{
	return OidIsValid(hb_catalog_extension()) ? get_namespace_oid(SCHEMA_NAME, true) : InvalidOid;
}

static void
pin(const char *name, const char *setting, GucAction action)
{
	(void) set_config_option(name, setting, PGC_SUSET, PGC_S_SESSION, action, true, 0, false);
}

/* The scope entered last, until its first statement; NULL: that has run, or there is no scope. */
static HbCatalogScope *unprepared = NULL;

static void
forget_scope(void)
{
	unprepared = NULL;
	hb_read_as_caller = false;
}

/* An error leaves no scope. */
static void
transaction_aborted(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PARALLEL_ABORT)
		forget_scope();
}

static void
subtransaction_aborted(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		forget_scope();
}

static void
watch_for_errors(void)
{
	static bool registered = false;

	if (registered)
		return;
	RegisterXactCallback(transaction_aborted, NULL);
	RegisterSubXactCallback(subtransaction_aborted, NULL);
	registered = true;
}

void
hb_catalog_enter(HbCatalogScope *scope)
{
	hb_catalog_prepare(); /* of a scope around this one */
	watch_for_errors();
	if (!OidIsValid(hb_catalog_extension()))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("extension \"%s\" does not exist", EXTENSION_NAME)));
	hb_read_as_caller = false;
	scope->caller_context = CurrentMemoryContext;
	scope->prepared = false;
	GetUserIdAndSecContext(&scope->saved_user, &scope->saved_security);
	SetUserIdAndSecContext(known_owner, scope->saved_security | SECURITY_LOCAL_USERID_CHANGE);
	unprepared = scope;
}

/* Single rows need none of this. */
void
hb_catalog_prepare(void)
{
	HbCatalogScope *scope = unprepared;
	MemoryContext old = CurrentMemoryContext;

	if (scope == NULL)
		return;
	unprepared = NULL;
	scope->prepared = true;
	scope->guc_level = NewGUCNestLevel();
	/* GUC_ACTION_SAVE is the one action that parallel workers allow. */
	pin("search_path", "pg_catalog, pg_temp", GUC_ACTION_SAVE);
	/* An error rather than missing rows, should the tables have another owner. */
	pin("row_security", "off", GUC_ACTION_SAVE);
	/*
	 * Statements are planned once a session, often while the tables are empty: such a plan would read them whole for as
	 * long as the session lives.  All of them look up a few rows by an index, whatever the statistics say.
	 */
	pin("enable_seqscan", "off", GUC_ACTION_SAVE);
	pin("plan_cache_mode", "force_generic_plan", GUC_ACTION_SAVE);
	/* What has no index looks dear then, and would be compiled at every call. */
	pin("jit", "off", GUC_ACTION_SAVE);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	/* What callers and the functions below allocate outlives SPI_finish(). */
	MemoryContextSwitchTo(old);
}

void
hb_catalog_enter_read(HbCatalogScope *scope)
{
	hb_catalog_enter(scope);
	hb_read_as_caller = true;
}

void
hb_catalog_leave(HbCatalogScope *scope)
{
	hb_read_as_caller = false;
	unprepared = NULL;
	if (scope->prepared)
	{
		if (SPI_finish() != SPI_OK_FINISH)
			elog(ERROR, "SPI_finish failed");
		AtEOXact_GUC(true, scope->guc_level);
	}
	SetUserIdAndSecContext(scope->saved_user, scope->saved_security);
	MemoryContextSwitchTo(scope->caller_context);
}

/*
 * Settings of the role are inherited by a background worker, so each transaction sets what it relies on.  The
 * lock on the extension makes DROP EXTENSION wait for the end of this transaction.
 */
bool
hb_catalog_begin(HbCatalogScope *scope)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid extension;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	pin("transaction_read_only", "off", GUC_ACTION_LOCAL);
	pin("transaction_isolation", "read committed", GUC_ACTION_LOCAL);
	pin("statement_timeout", "0", GUC_ACTION_LOCAL);
	pin("lock_timeout", "0", GUC_ACTION_LOCAL);
	pin("idle_in_transaction_session_timeout", "0", GUC_ACTION_LOCAL);
	if (HB_HAS_TRANSACTION_TIMEOUT)
		pin("transaction_timeout", "0", GUC_ACTION_LOCAL);
	if (synchronous_commit < SYNCHRONOUS_COMMIT_ON)
		pin("synchronous_commit", "on", GUC_ACTION_LOCAL);

	extension = hb_catalog_extension();
	if (OidIsValid(extension))
	{
		LockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock);
		if (hb_catalog_extension() != extension)
			extension = InvalidOid;
	}
	if (!OidIsValid(extension))
	{
		CommitTransactionCommand();
		MemoryContextSwitchTo(caller);
		return false;
	}
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(caller);
	hb_catalog_enter(scope);
	return true;
}

static void
end_transaction(const HbCatalogScope *scope)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(scope->caller_context);
}

void
hb_catalog_commit(HbCatalogScope *scope)
{
	hb_catalog_leave(scope);
	end_transaction(scope);
}

void
hb_catalog_commit_lazily(HbCatalogScope *scope)
{
	hb_catalog_leave(scope);
	pin("synchronous_commit", "off", GUC_ACTION_LOCAL);
	end_transaction(scope);
}

void
hb_check_gate(void)
{
	Oid schema = hb_catalog_schema();
	char *role;

	if (!OidIsValid(schema))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("extension \"%s\" does not exist", EXTENSION_NAME)));
	if (hb_namespace_aclcheck(schema, GetUserId(), ACL_USAGE) == ACLCHECK_OK)
		return;
	role = GetUserNameFromId(GetUserId(), false);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for schema %s", SCHEMA_NAME),
			 errhint("GRANT USAGE ON SCHEMA %s TO %s;", SCHEMA_NAME, quote_identifier(role))));
}

static int64
system_identifier(void)
{
	return (int64) GetSystemIdentifier();
}

/* ---- studies ---- */

int64
hb_study_insert(const HbStudyRow *s)
{
	static HbStatement statement = HB_WRITE(
		"INSERT INTO hyperband.study (owner, kind, name, relation, relation_oid, objective, target,"
		" features, task, model, metric, direction, sampler, scheduler, resource, device,"
		" search_space, options, max_resource, min_resource, eta, n_trials, trainers, settings,"
		" validation, seed, split_seed, time_limit, resource_planned, versions, system_identifier)"
		" VALUES ($1, coalesce($2, 'table'), $3, $4, nullif($5, 0), $6, $7, $8, $9, $10, $11, $12,"
		" $13, $14, $15, $16, $17, coalesce($18, '{}'), $19, $20, $21, $22, $23,"
		" coalesce($24, '{}'), $25, $26, $27, $28, $29, $30, $31) RETURNING study_id",
		"otttottatttttttt"
		"jjIiiIIj"
		"dllvLjl");

	hb_run(&statement, s->owner, s->kind, s->name, s->relation, s->relation_oid, s->objective,
		   s->target, s->features, s->task, s->model, s->metric, s->direction, s->sampler,
		   s->scheduler, s->resource, s->device, s->search_space, s->options, s->max_resource,
		   s->min_resource, s->eta, s->n_trials, s->trainers, s->settings, s->validation, s->seed,
		   s->split_seed, s->time_limit, s->resource_planned, s->versions, system_identifier());
	return hb_row_int64(0, 1);
}

/* Columns of hb_study_get() in the order of HbStudyRow. */
static HbStudyRow *
study_from_row(void)
{
	HbStudyRow *s = palloc0(sizeof(HbStudyRow));
	int c = 0;

	s->study_id = hb_row_int64(0, ++c);
	s->owner = hb_row_oid(0, ++c);
	s->kind = hb_row_text(0, ++c);
	s->state = hb_row_text(0, ++c);
	s->name = hb_row_text(0, ++c);
	s->relation = hb_row_text(0, ++c);
	s->relation_oid = hb_row_oid(0, ++c);
	s->objective = hb_row_text(0, ++c);
	s->target = hb_row_text(0, ++c);
	s->features = hb_row_texts(0, ++c);
	s->task = hb_row_text(0, ++c);
	s->model = hb_row_text(0, ++c);
	s->metric = hb_row_text(0, ++c);
	s->direction = hb_row_text(0, ++c);
	s->sampler = hb_row_text(0, ++c);
	s->scheduler = hb_row_text(0, ++c);
	s->resource = hb_row_text(0, ++c);
	s->device = hb_row_text(0, ++c);
	s->search_space = hb_row_jsonb(0, ++c);
	s->options = hb_row_jsonb(0, ++c);
	s->max_resource = (int) hb_row_int64(0, ++c);
	s->min_resource = (int) hb_row_int64(0, ++c);
	s->eta = (int) hb_row_int64(0, ++c);
	s->n_trials = (int) hb_row_int64(0, ++c);
	s->trainers = (int) hb_row_int64(0, ++c);
	s->settings = hb_row_jsonb(0, ++c);
	s->validation = hb_row_float8(0, ++c);
	s->seed = hb_row_int64(0, ++c);
	s->split_seed = hb_row_int64(0, ++c);
	s->time_limit = hb_row_interval(0, ++c);
	s->rows_train = hb_row_int64(0, ++c);
	s->rows_validation = hb_row_int64(0, ++c);
	s->rows_skipped = hb_row_int64(0, ++c);
	s->fingerprint = hb_row_bytea(0, ++c);
	s->versions = hb_row_jsonb(0, ++c);
	s->resource_planned = hb_row_int64(0, ++c);
	s->resource_spent = hb_row_int64(0, ++c);
	s->best_trial_id = hb_row_int64(0, ++c);
	s->best_loss = hb_row_float8(0, ++c);
	s->cancel_requested = hb_row_bool(0, ++c);
	s->system_identifier = hb_row_int64(0, ++c);
	s->sqlstate = hb_row_text(0, ++c);
	s->error = hb_row_text(0, ++c);
	s->detail = hb_row_text(0, ++c);
	s->hint = hb_row_text(0, ++c);
	s->created_at = hb_row_time(0, ++c);
	s->started_at = hb_row_time(0, ++c);
	s->run_at = hb_row_time(0, ++c);
	s->finished_at = hb_row_time(0, ++c);
	return s;
}

HbStudyRow *
hb_study_get(int64 study_id)
{
	static HbStatement statement = HB_READ(
		"SELECT study_id, owner, kind, state, name, relation, relation_oid, objective, target,"
		" features, task, model, metric, direction, sampler, scheduler, resource, device,"
		" search_space, options, max_resource, min_resource, eta, n_trials, trainers, settings,"
		" validation, seed, split_seed, time_limit, rows_train, rows_validation, rows_skipped,"
		" fingerprint, versions, resource_planned, resource_spent, best_trial_id, best_loss,"
		" cancel_requested, system_identifier, sqlstate, error, detail, hint, created_at,"
		" started_at, run_at, finished_at FROM hyperband.study WHERE study_id = $1",
		"l");

	return hb_run(&statement, study_id) == 0 ? NULL : study_from_row();
}

int64
hb_study_next_queued(Oid owner)
{
	static HbStatement statement =
		HB_READ("SELECT study_id FROM hyperband.study WHERE state = 'queued'"
				" AND system_identifier = $1 AND ($2 = 0 OR owner = $2) ORDER BY study_id LIMIT 1",
				"lo");

	return hb_run(&statement, system_identifier(), owner) == 0 ? 0 : hb_row_int64(0, 1);
}

/* A worker of a role that is gone or may not connect would end at once, and keep others from their turn. */
Oid *
hb_study_queued_owners(void)
{
	static HbStatement statement =
		HB_READ("SELECT s.owner::oid FROM hyperband.study s JOIN pg_roles r ON r.oid = s.owner"
				" WHERE s.state = 'queued' AND s.system_identifier = $1 AND r.rolcanlogin"
				" AND has_database_privilege(r.oid, current_database(), 'CONNECT')"
				" GROUP BY s.owner ORDER BY min(s.study_id)",
				"l");
	uint64 n = hb_run(&statement, system_identifier());
	Oid *owners = palloc(sizeof(Oid) * (n + 1));

	for (uint64 i = 0; i < n; i++)
		owners[i] = hb_row_oid(i, 1);
	owners[n] = InvalidOid;
	return owners;
}

int64 *
hb_study_running_ids(void)
{
	static HbStatement statement =
		HB_READ("SELECT study_id FROM hyperband.study WHERE state = 'running'"
				" AND kind <> 'external' AND system_identifier = $1 ORDER BY study_id",
				"l");
	uint64 n = hb_run(&statement, system_identifier());
	int64 *ids = palloc(sizeof(int64) * (n + 1));

	for (uint64 i = 0; i < n; i++)
		ids[i] = hb_row_int64(i, 1);
	ids[n] = 0;
	return ids;
}

/* Trials that a lost supervisor left running: nobody trains them now. */
static void
reset_running_trials(int64 study_id)
{
	static HbStatement statement = HB_WRITE("UPDATE hyperband.trial SET state = 'waiting'"
											" WHERE study_id = $1 AND state = 'running'",
											"l");

	hb_run(&statement, study_id);
}

bool
hb_study_mark_running(int64 study_id)
{
	static HbStatement statement = HB_WRITE(
		"UPDATE hyperband.study SET state = 'running', finished_at = NULL,"
		" started_at = coalesce(started_at, now()), run_at = now(), run_from = resource_spent"
		" WHERE study_id = $1 AND state IN ('queued', 'running') AND system_identifier = $2",
		"ll");

	if (hb_run(&statement, study_id, system_identifier()) == 0)
		return false;
	reset_running_trials(study_id);
	return true;
}

/* A trial that failed for good stays so: rungs have been decided without it. */
static void
requeue_trials(int64 study_id)
{
	static HbStatement statement =
		HB_WRITE("UPDATE hyperband.trial SET state = 'waiting', finished_at = NULL"
				 " WHERE study_id = $1 AND state IN ('running', 'cancelled')",
				 "l");

	hb_run(&statement, study_id);
}

void
hb_study_requeue(int64 study_id)
{
	static HbStatement statement =
		HB_WRITE("UPDATE hyperband.study SET state = 'queued', cancel_requested = false,"
				 " sqlstate = NULL, error = NULL, detail = NULL, hint = NULL, finished_at = NULL,"
				 " system_identifier = $2 WHERE study_id = $1 AND state <> 'done'",
				 "ll");

	if (hb_run(&statement, study_id, system_identifier()) > 0)
		requeue_trials(study_id);
}

bool
hb_study_take_up(int64 study_id)
{
	static HbStatement statement =
		HB_WRITE("UPDATE hyperband.study SET state = 'queued'"
				 " WHERE study_id = $1 AND state = 'running' AND NOT cancel_requested",
				 "l");

	if (hb_run(&statement, study_id) == 0)
		return false;
	requeue_trials(study_id);
	return true;
}

void
hb_study_loaded(int64 study_id, const char *task, const char *metric, const char *direction,
				char **features, int64 rows_train, int64 rows_validation, int64 rows_skipped,
				bytea *fingerprint)
{
	static HbStatement statement =
		HB_WRITE("UPDATE hyperband.study SET task = $2, metric = $3, direction = $4,"
				 " features = $5, rows_train = $6, rows_validation = $7, rows_skipped = $8,"
				 " fingerprint = $9 WHERE study_id = $1",
				 "ltttallly");

	hb_run(&statement, study_id, task, metric, direction, features, rows_train, rows_validation,
		   rows_skipped, fingerprint);
}

void
hb_study_set_versions(int64 study_id, Jsonb *versions)
{
	static HbStatement statement =
		HB_WRITE("UPDATE hyperband.study SET versions = $2 WHERE study_id = $1", "lj");

	hb_run(&statement, study_id, versions);
}

void
hb_study_set_search_space(int64 study_id, Jsonb *search_space)
{
	static HbStatement statement =
		HB_WRITE("UPDATE hyperband.study SET search_space = $2 WHERE study_id = $1", "lj");

	hb_run(&statement, study_id, search_space);
}

static void
cancel_unfinished_trials(int64 study_id)
{
	static HbStatement statement =
		HB_WRITE("UPDATE hyperband.trial SET state = 'cancelled', finished_at = now()"
				 " WHERE study_id = $1 AND state IN ('waiting', 'running')",
				 "l");

	hb_run(&statement, study_id);
}

static const char *
nonempty(const char *text)
{
	return text[0] == '\0' ? NULL : text;
}

void
hb_study_finish(int64 study_id, const char *state, const HbStatus *error)
{
	static HbStatement statement =
		HB_WRITE("UPDATE hyperband.study SET state = $2, sqlstate = $3, error = $4, detail = $5,"
				 " hint = $6, finished_at = clock_timestamp() WHERE study_id = $1",
				 "lttttt");

	hb_run(&statement, study_id, state, error ? nonempty(error->sqlstate) : NULL,
		   error ? nonempty(error->message) : NULL, error ? nonempty(error->detail) : NULL,
		   error ? nonempty(error->hint) : NULL);
	cancel_unfinished_trials(study_id);
}

/* Nobody would act on the request to cancel an interrupted study, so it ends here and now, as a queued one does. */
bool
hb_study_request_cancel(int64 study_id)
{
	static HbStatement statement =
		HB_WRITE("UPDATE hyperband.study SET cancel_requested = true,"
				 " state = CASE WHEN $2 AND state = 'running' THEN state ELSE 'cancelled' END,"
				 " finished_at = CASE WHEN $2 AND state = 'running' THEN NULL ELSE now() END"
				 " WHERE study_id = $1 AND (state = 'queued'"
				 " OR state = 'running' AND NOT ($2 AND cancel_requested)) RETURNING state",
				 "lb");
	char *state;

	if (hb_run(&statement, study_id, (int) hb_study_is_held(study_id)) == 0)
		return false;
	state = hb_row_text(0, 1);
	if (strcmp(state, "cancelled") == 0)
		cancel_unfinished_trials(study_id);
	return true;
}

bool
hb_study_cancel_requested(int64 study_id)
{
	static HbStatement statement =
		HB_READ("SELECT cancel_requested FROM hyperband.study WHERE study_id = $1", "l");

	return hb_run(&statement, study_id) > 0 && hb_row_bool(0, 1);
}

bool
hb_study_delete(int64 study_id)
{
	static HbStatement statement = HB_WRITE("DELETE FROM hyperband.study WHERE study_id = $1", "l");

	return hb_run(&statement, study_id) > 0;
}

/*
 * For view progress.  The caller's snapshot may be older than the release of the lock, so a study that is no longer
 * running by now counts as held: it was not interrupted.  A standby does not see the locks of its primary.
 */
Datum
hb_sql_study_is_held(PG_FUNCTION_ARGS)
{
	static HbStatement statement =
		HB_READ("SELECT FROM hyperband.study WHERE study_id = $1 AND state = 'running'", "l");
	int64 study_id = PG_GETARG_INT64(0);
	HbCatalogScope scope;
	bool held = RecoveryInProgress() || hb_study_is_held(study_id);

	if (!held)
	{
		hb_catalog_enter(&scope);
		held = hb_run(&statement, study_id) == 0;
		hb_catalog_leave(&scope);
	}
	PG_RETURN_BOOL(held);
}
