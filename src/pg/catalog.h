/*
 * catalog.h - everything that reads or writes the tables of schema hyperband
 *
 * The catalog*.c files alone name them.  Every function here runs inside a scope opened by
 * hb_catalog_enter(): it switches to the extension's owner (SetUserIdAndSecContext) and, before the first statement,
 * connects SPI and pins search_path and what plans depend on; hb_catalog_leave() restores all of it; an ERROR restores it too.
 * No user code runs inside a scope.  Callers check permissions first: here everything is allowed.
 * Returned strings and arrays live in the memory context that was current when the scope was entered.
 */
#ifndef HB_CATALOG_H
#define HB_CATALOG_H

#include "pg.h"

#include "core/job.h"
#include "tune/plan.h"
#include "tune/scheduler.h"

typedef struct HbCatalogScope
{
	Oid saved_user;
	int saved_security;
	bool prepared; /* for statements: settings are pinned, SPI is connected */
	int guc_level;
	MemoryContext caller_context;
} HbCatalogScope;

extern void hb_catalog_enter(HbCatalogScope *scope);
extern void hb_catalog_leave(HbCatalogScope *scope);
/* Before the scope's first statement through SPI; called by statement.c and tuple.c. */
extern void hb_catalog_prepare(void);
/* A scope for prediction: reads only, under the caller's active snapshot, so that every row of a statement and every
 * parallel worker of it sees the same models. */
extern void hb_catalog_enter_read(HbCatalogScope *scope);

/* Supervisor only: a whole transaction around a scope: read-write, synchronous_commit on, no timeouts.  begin
 * returns false, with the transaction already ended, when the extension is gone from the database. */
extern bool hb_catalog_begin(HbCatalogScope *scope);
extern void hb_catalog_commit(HbCatalogScope *scope);
/* Without waiting for the disk; a later commit that does takes it along. */
extern void hb_catalog_commit_lazily(HbCatalogScope *scope);

/* OIDs: of schema hyperband (InvalidOid: no extension here), of the extension. */
extern Oid hb_catalog_schema(void);
extern Oid hb_catalog_extension(void);

/* 42501 with the GRANT as HINT unless the current user has USAGE on schema hyperband: the gate. */
extern void hb_check_gate(void);

/* A study. Strings are NULL where the column is. */
typedef struct HbStudyRow
{
	int64 study_id;
	Oid owner;
	char *kind;  /* table, function, external */
	char *state; /* queued, running, done, failed, cancelled */
	char *name;
	char *relation;
	Oid relation_oid;
	char *objective;
	char *target;
	char **features; /* NULL-terminated; NULL: every column but keys */
	char *task;      /* classification, regression; NULL: decided while loading */
	char *model;
	char *metric; /* NULL: decided while loading */
	char *direction;
	char *sampler;
	char *scheduler;
	char *resource;
	char *device;
	Jsonb *search_space;
	Jsonb *options;
	int max_resource; /* 0: NULL, infinite */
	int min_resource;
	int eta;
	int n_trials; /* 0: NULL */
	int trainers;
	Jsonb *settings;
	double validation;
	int64 seed;
	int64 split_seed;
	Interval *time_limit;
	int64 rows_train;
	int64 rows_validation;
	int64 rows_skipped;
	bytea *fingerprint;
	Jsonb *versions;
	int64 resource_planned;
	int64 resource_spent;
	int64 best_trial_id; /* 0: NULL */
	double best_loss;    /* NaN: NULL */
	bool cancel_requested;
	int64 system_identifier;
	char *sqlstate;
	char *error;
	char *detail;
	char *hint;
	TimestampTz created_at;
	TimestampTz started_at;  /* 0: NULL */
	TimestampTz run_at;      /* start of its present run; 0: NULL */
	TimestampTz finished_at; /* 0: NULL */
} HbStudyRow;

/* Inserts a queued study (study_id, state, created_at, system_identifier are filled in) and returns its id. */
extern int64 hb_study_insert(const HbStudyRow *study);
/* NULL where there is none. */
extern HbStudyRow *hb_study_get(int64 study_id);
/* Oldest queued study of owner (InvalidOid: of anyone) in this database, made on this system; 0: none. */
extern int64 hb_study_next_queued(Oid owner);
/* Owners that have queued studies, oldest first; NULL-terminated by InvalidOid. */
extern Oid *hb_study_queued_owners(void);
/* Studies of this system that a supervisor runs, or ran when the server went down; ends with 0. */
extern int64 *hb_study_running_ids(void);
/* queued -> running, or running (interrupted) -> running; false when the state is another by now. */
extern bool hb_study_mark_running(int64 study_id);
/* running, queued, failed, cancelled -> queued, clears the error and cancel_requested, takes this system's identifier. */
extern void hb_study_requeue(int64 study_id);
/* running -> queued, after a restart of the server or for want of workers; false: it ended or was cancelled meanwhile. */
extern bool hb_study_take_up(int64 study_id);
/* What loading found out. */
extern void hb_study_loaded(int64 study_id, const char *task, const char *metric,
							const char *direction, char **features, int64 rows_train,
							int64 rows_validation, int64 rows_skipped, bytea *fingerprint);
extern void hb_study_set_versions(int64 study_id, Jsonb *versions);
extern void hb_study_set_search_space(int64 study_id, Jsonb *search_space);
/* done, failed or cancelled; error is NULL unless failed. Unfinished trials become cancelled. */
extern void hb_study_finish(int64 study_id, const char *state, const HbStatus *error);
/* Sets cancel_requested; a queued study becomes cancelled at once. Returns whether anything changed. */
extern bool hb_study_request_cancel(int64 study_id);
extern bool hb_study_cancel_requested(int64 study_id);
extern bool hb_study_delete(int64 study_id);

/* Trials with their configurations, and the plan's brackets with them. Sets resource_planned. */
typedef struct HbTrialRow
{
	int64 trial_id;
	int64 number;
	int bracket;
	Jsonb *config;
	HbTrialState state;
	int rung; /* -1 before the first evaluation (NULL in the table) */
	int64 resource;
	int attempt;
	double loss;     /* NaN: NULL */
	double tie_loss; /* metrics: log_loss or rmse */
	bool begun;      /* asha: its start is in the study's log */
	Jsonb *metrics;  /* at its last rung; NULL before the first */
	bool
		undecided; /* its evaluation at rung has promoted NULL and the rung is not the bracket's last */
} HbTrialRow;

/* Brackets that are there already stay; cost: of the whole plan so far. */
extern void hb_plan_store(int64 study_id, const HbPlan *plan, int64 cost, int ntrials,
						  const HbTrialRow *trials);
/* Trials numbered above after by number; *ntrials = 0: none is stored yet. */
extern HbTrialRow *hb_trials_get(int64 study_id, int64 after, int *ntrials);
/* All results of the study in the order of its log, else by number and rung; pull is not filled in. */
extern HbResult *hb_results_get(int64 study_id, int64 *nresults);
/* asha's log: its last position so far; the position of the decision to start a trial. */
extern int64 hb_log_last(int64 study_id);
extern void hb_log_start(int64 study_id, int64 number, int64 seq);

/* Marks trials as running in this attempt (their attempt number is raised by one). */
extern void hb_trials_start(int64 study_id, int n, const int64 *trial_ids);
/* Fails trials for good (38000 and the like). */
extern void hb_trials_fail(int64 study_id, int n, const int64 *trial_ids, const HbStatus *error);

/* One trial's part of a chunk's result. */
typedef struct HbTrialRecord
{
	int64 trial_id;
	int attempt; /* the fence: a stale one is ignored */
	const HbTrialResult *result;
	int rung; /* >= 0: an evaluation at this rung; -1: it stands between two rungs */
	bool last_rung;
	bool from_scratch; /* it cost its whole resource, not the difference to the last result */
	int64 seq;         /* asha: the result's position in the log; 0: none */
} HbTrialRecord;

/*
 * Records a chunk in the current transaction: evaluations and states; adds the resource spent to gained.  Returns the number
 * of records accepted by the fence.
 */
extern int hb_results_store(int64 study_id, int n, const HbTrialRecord *records, int64 *gained);
/* Adds to resource_spent and sets the study's best trial, 0: none yet. */
extern void hb_study_progress(int64 study_id, int64 gained, int64 best_trial_id, double best_loss);
/*
 * rank, promoted and the new state of the trials of decided rungs.  seq: position in the log of the promotion among them, 0 where there is none; -1: decisions are
 * numbered one after another.
 */
extern void hb_decisions_store(int64 study_id, int n, const HbDecision *decisions,
							   const int64 *trial_ids, int64 seq);
extern void
hb_curve_store(int64 study_id, int n, const int64 *trial_ids, const HbCurvePoint *points);

/* Checkpoints: at most 16 MB a row. NULL where there is none at that resource. */
extern void *hb_checkpoint_get(int64 trial_id, int64 resource, size_t *length);
extern void
hb_checkpoint_put(int64 study_id, int64 trial_id, int64 resource, const void *state, size_t length);
extern void hb_checkpoint_delete(int64 trial_id, int64 resource);

/*
 * Winner: trial id and resource of the best evaluation (hb_result_better), completed: of those alone that completed, at
 * their last rung; false when there is none.
 */
extern bool hb_best_evaluation(int64 study_id, bool completed, int64 *trial_id, int64 *number,
							   int *rung, int64 *resource, double *loss, double *tie_loss);

/* catalog_progress.c: the study's row of view progress; false where there is none. Numbers that are NULL: NaN or 0. */
typedef struct HbProgressRow
{
	char *state; /* interrupted, too */
	char *bar;
	int rungs_done;
	int rungs;
	int trials_running;
	int trials_done;
	int trials;
	int64 resource_spent;
	int64 resource_planned;
	double best_loss;
	double best_metric_value;
	double elapsed;
	char *metric; /* NULL: not decided yet */
} HbProgressRow;

extern bool hb_progress_get(int64 study_id, HbProgressRow *row);

/* A model version. */
#define HB_MODEL_FORMAT 1 /* layout of a stored model's bytes */

typedef struct HbModelRow
{
	int64 model_id;
	Oid owner;
	char *name;
	int version;
	bool is_current;
	int64 study_id; /* 0: NULL */
	int64 trial_id; /* 0: NULL */
	char *family;
	char *task;
	char **features;      /* NULL-terminated */
	char **feature_types; /* format_type_be */
	char **labels;        /* NULL for regression */
	Jsonb *encoder;
	char *metric;
	double loss;
	Jsonb *metrics;
	Jsonb *test_metrics; /* NULL: no test rows */
	int64 resource;
	bytea *split_key;
	int format;
	int64 total_bytes;
	int64 crc;
	TimestampTz created_at;
} HbModelRow;

/*
 * Until the end of the transaction nobody else makes, promotes, deletes or grants versions of this name: what is decided
 * by them is to be looked at after this. In locks.c.
 */
extern void hb_lock_model_name(Oid owner, const char *name);
/* Stores bytes in chunks and the row with the next version; returns model_id. make_current moves is_current. */
extern int64
hb_model_insert(HbModelRow *model, const void *bytes, size_t length, bool make_current);
/* version 0: the current one. NULL where there is none. */
extern HbModelRow *hb_model_get(Oid owner, const char *name, int version);
extern HbModelRow *hb_model_get_by_id(int64 model_id);
/* The stored bytes, checked against format, total_bytes and crc (XX001). */
extern void *hb_model_bytes(const HbModelRow *model);
/* Owners (not role itself) that granted name to role or to a role it has the privileges of. */
extern Oid *hb_model_granting_owners(const char *name, Oid role, int *n);
/* Owners of models of that name. */
extern Oid *hb_model_owners(const char *name, int *n);
/* Whether there is a study of that name whose owner is role or a role that it has the privileges of. */
extern bool hb_study_named(const char *name, Oid role);
extern bool
hb_model_promote(Oid owner, const char *name, int version); /* false: it was current already */
/* version 0: all. Returns versions deleted. Without the current version the latest left becomes current; with the last
 * one go the grants. */
extern int hb_model_delete(Oid owner, const char *name, int version);
extern bool hb_model_exists(Oid owner, const char *name, int version); /* 0: any version */
extern void hb_grant_insert(Oid owner, const char *name, Oid grantee);
extern bool hb_grant_delete(Oid owner, const char *name, Oid grantee);
/* Bumped in every session, by a relation cache invalidation, when models or grants change. */
extern uint64 hb_model_generation(void);

#endif /* HB_CATALOG_H */
