/*
 * run.c - one study from queued to finished: load, stages, finish
 *
 * Nothing is held while trainers work: the relation is read in a transaction that ends before
 * the first trainer starts, and every write is a short transaction of its own.  A study that was interrupted
 * takes the same way: the relation is read again and compared by its fingerprint, the plan and the
 * results are read back, and the scheduler, a pure function of them, names the stage to go on with.
 */
#include "pg.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/timeout.h"
#include "utils/varlena.h"

#include "compute/encode.h"
#include "pg/locks.h"
#include "pg/run.h"

/*
 * In units of HbTrialView.size.  A weight takes four bytes and about four operations a sample: 16 MB of weights, and of
 * each state.
 */
#define HB_CHUNK_SIZE 16e6
#define HB_CHUNK_MEMORY                                                                            \
	32 /* weights, states, and these again in jobs and results, which grow by doubling */
#define HB_CHUNK_OPERATIONS 1e12   /* seconds, on a fast core */
#define HB_LIMITED_OPERATIONS 1e11 /* where a time limit may come first */
#define HB_LATE_TRIALS 10          /* so many trials or fewer make a late rung */
#define HB_DEFAULT_EPOCHS 10       /* of each training, where the resource is rows or folds */

static HbRun *hb_current_run = NULL;

void
hb_transaction_begin(HbTransaction *transaction)
{
	transaction->context = CurrentMemoryContext;
	if (!hb_catalog_begin(&transaction->scope))
	{
		/* the extension was dropped, and its studies with it: nothing is left to do or to tell */
		proc_exit(0);
	}
}

void
hb_transaction_commit(HbTransaction *transaction)
{
	hb_catalog_commit(&transaction->scope);
	MemoryContextSwitchTo(transaction->context);
}

void
hb_transaction_commit_lazily(HbTransaction *transaction)
{
	hb_catalog_commit_lazily(&transaction->scope);
	MemoryContextSwitchTo(transaction->context);
}

/* Call in a transaction.  A model of a role that was dropped meanwhile would belong to nobody. */
void
hb_check_owner_exists(Oid owner)
{
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(owner)))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("role with OID %u does not exist", owner)));
}

void
hb_run_check_cancel(HbRun *run)
{
	hb_check_owner_exists(run->study->owner);
	if (hb_study_cancel_requested(run->study->study_id))
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED), errmsg("canceling study due to user request")));
}

void
hb_run_look_around(const HbRun *run)
{
	HbTransaction transaction;

	hb_transaction_begin(&transaction);
	hb_check_owner_exists(run->study->owner);
	hb_transaction_commit(&transaction);
}

void
hb_run_look(HbRun *run)
{
	HbTransaction transaction;

	QueryCancelPending = false;
	hb_transaction_begin(&transaction);
	hb_run_check_cancel(run);
	hb_transaction_commit(&transaction);
}

/* The relation by its name; oids do not survive a dump. Read as the owner, like everything of the user's. */
static Oid
hb_run_relation(const HbStudyRow *study)
{
	MemoryContext context = CurrentMemoryContext;
	RangeVar *name;
	Oid relation;

	StartTransactionCommand();
	name = makeRangeVarFromNameList(hb_qualified_name_list(study->relation));
	relation = RangeVarGetRelid(name, NoLock, true);
	if (!OidIsValid(relation))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation \"%s\" does not exist", study->relation)));
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return relation;
}

/* The table has changed since: go on only where the user said so. */
static void
hb_check_fingerprint(const HbRun *run)
{
	bytea *before = run->study->fingerprint;
	bytea *now = run->data->fingerprint;

	if (!before || run->options.on_change_reload)
		return;
	if (VARSIZE_ANY_EXHDR(before) == VARSIZE_ANY_EXHDR(now) &&
		memcmp(VARDATA_ANY(before), VARDATA_ANY(now), VARSIZE_ANY_EXHDR(now)) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("training data has changed since the study began"),
			 errhint("Start a new study; with options {\"on_change\": \"reload\"} at its start "
					 "it would go on with the data as it is by then.")));
}

/* Interrupts whatever the reading of the data waits for, as a cancel would. */
static void
hb_time_is_up(void)
{
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

static void
hb_timer_start(HbRun *run)
{
	static TimeoutId timer = MAX_TIMEOUTS;

	if (timer == MAX_TIMEOUTS)
		timer = RegisterTimeout(USER_TIMEOUT, hb_time_is_up);
	run->load_timer = timer;
	if (run->deadline != 0)
		enable_timeout_at(timer, run->deadline);
}

/* Whether the time limit interrupted the reading. A cancel that came together with it is found in the catalog later. */
static bool
hb_timer_stop(const HbRun *run)
{
	bool fired = get_timeout_indicator(run->load_timer, true);

	disable_timeout(run->load_timer, false);
	if (fired)
		QueryCancelPending = false;
	return fired;
}

static void
hb_run_load(HbRun *run)
{
	const HbStudyRow *study = run->study;
	HbLoadRequest request = {.relation = hb_run_relation(study),
							 .relation_name = study->relation,
							 .target = study->target,
							 .features = study->features,
							 .task = study->task,
							 .validation = study->validation,
							 .test = run->options.test,
							 .split_seed = study->split_seed,
							 .sample_seed = study->seed,
							 .max_rows = run->options.max_rows,
							 .clip = run->options.clip,
							 .strict = run->options.strict,
							 .max_categories = hb_guc_max_categories,
							 .max_bytes = (int64) hb_guc_max_data_memory * 1024};
	char **notice;

	/* a function that the data depends on may take advisory locks, or call pg_advisory_unlock_all() */
	hb_locks_shield();
	hb_timer_start(run);
	PG_TRY();
	{
		run->data = hb_load_in_transaction(&request, run->context);
	}
	PG_CATCH();
	{
		bool late = hb_timer_stop(run) && geterrcode() == ERRCODE_QUERY_CANCELED;

		hb_locks_reassert();
		if (!late)
			PG_RE_THROW();
		FlushErrorState();
		ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED), errmsg(HB_TIME_LIMIT_LOADING),
						errhint("Raise \"time_limit\", or lower option \"max_rows\".")));
	}
	PG_END_TRY();
	(void) hb_timer_stop(run);
	hb_locks_reassert();
	MemoryContextSwitchTo(run->context);
	for (notice = run->data->notices; notice && *notice; notice++)
		ereport(LOG, (errmsg("study %lld: %s", (long long) study->study_id, *notice)));
	hb_check_fingerprint(run);
}

/* The study's metric, or the task's default. */
static HbMetricId
hb_run_metric(const HbRun *run)
{
	const char *name = run->study->metric;
	int metric;

	if (!name)
		return hb_metric_default(run->data->task);
	metric = hb_metric_find(name);
	if (metric < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unrecognized metric \"%s\"", name)));
	if (hb_metrics[metric].task != run->data->task)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("metric \"%s\" cannot be used for %s", name,
							   run->data->task == HB_TASK_CLASSIFICATION ? "classification"
																		 : "regression")));
	return (HbMetricId) metric;
}

/* Writes down what only the data could tell. */
static void
hb_run_loaded(HbRun *run)
{
	const HbLoadResult *data = run->data;
	HbTransaction transaction;

	run->metric = hb_run_metric(run);
	if (run->by_folds && data->rows_train < run->study->max_resource)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg("not enough rows to train"),
						errdetail("Found %lld training rows, need at least %d.",
								  (long long) data->rows_train, run->study->max_resource)));
	run->problem.task = data->task;
	run->problem.inputs = data->dataset.header->inputs;
	run->problem.row_values = hb_sparse_row_values(
		&(HbEncoder){.ncolumns = data->dataset.header->columns, .columns = data->dataset.columns});
	run->problem.outputs = data->dataset.header->outputs;
	run->problem.rows_train = (uint64_t) data->rows_train;
	run->spec.data_fd = data->fd;
	run->spec.device = run->study->device ? run->study->device : hb_device_name(hb_guc_device);
	run->spec.precision = hb_precision_names[run->options.precision];
	run->spec.memory = (uint64) hb_guc_trainer_memory * 1024 + data->length;

	hb_transaction_begin(&transaction);
	hb_study_loaded(run->study->study_id,
					data->task == HB_TASK_CLASSIFICATION ? "classification" : "regression",
					hb_metrics[run->metric].name,
					hb_metrics[run->metric].higher_is_better ? "maximize" : "minimize",
					data->features, data->rows_train, data->rows_validation, data->rows_skipped,
					data->fingerprint);
	hb_run_check_cancel(run);
	hb_transaction_commit_lazily(&transaction);
}

/* Under an asynchronous scheduler the decision to start or to promote has its position in the study's log, at once. */
void
hb_run_decide(HbRun *run, const HbStage *stage)
{
	bool logged = run->scheduler->asynchronous;
	bool starts = logged && stage->seq > 0 && stage->from_resource == 0;

	if (stage->ndecisions > 0 || starts)
		hb_record_decisions(run, stage->decisions, stage->ndecisions,
							starts ? stage->numbers[0] : 0, logged ? stage->seq : -1);
	if (logged)
		hb_record_flush(run);
}

/*
 * About how large and how dear a chunk may be: the trainers' memory holds it several times, and results are recorded now
 * and then where a stage takes long.
 */
static HbChunkLimit
hb_chunk_limit(const HbRun *run, const HbStage *stage)
{
	double samples = hb_train_passes(run, stage) * (double) run->problem.rows_train;
	double operations = run->deadline != 0 ? HB_LIMITED_OPERATIONS : HB_CHUNK_OPERATIONS;
	double memory = hb_guc_trainer_memory * 1024.0 / HB_CHUNK_MEMORY;

	return (HbChunkLimit){.size = Min(HB_CHUNK_SIZE, memory),
						  .cost = operations / Max(samples, 1.0)};
}

/* Those of the stage that are not recorded yet: all of them, but after a restart. */
static HbStage
hb_stage_left(const HbRun *run)
{
	HbStage left = run->stage;
	int i;

	left.numbers = palloc(sizeof(int64) * Max(run->stage.ntrials, 1));
	left.ntrials = 0;
	for (i = 0; i < run->stage.ntrials; i++)
		if (!hb_train_recorded(run, &run->stage, run->stage.numbers[i]))
			left.numbers[left.ntrials++] = run->stage.numbers[i];
	return left;
}

/* Trains one stage; false: the time limit came first. */
static bool
hb_run_stage(HbRun *run)
{
	HbStage left = hb_stage_left(run);
	HbChunk *chunks;
	HbWork *works;
	HbStatus status;
	int nchunks;
	int i;

	hb_status_init(&status);
	if (!hb_cut_chunks(&hb_host_pg, &run->state, &left, run->study->trainers,
					   hb_chunk_limit(run, &left), &chunks, &nchunks, &status))
		hb_raise(&status);
	/* a work that fails is cut again, until each trial is one */
	works = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(HbWork) * Max(left.ntrials, 1));
	memset(works, 0, sizeof(HbWork) * nchunks);
	for (i = 0; i < nchunks; i++)
	{
		works[i].chunk = &chunks[i];
		works[i].stage = &run->stage;
	}
	return hb_loop(run, works, nchunks, NULL, true);
}

/* The same, and how long late rungs take: few trials are what trainers share worst. */
static bool
hb_run_timed_stage(HbRun *run)
{
	bool late = run->stage.ntrials <= HB_LATE_TRIALS;
	double cpu = run->trainer_seconds;
	TimestampTz began = GetCurrentTimestamp();
	bool in_time = hb_run_stage(run);

	if (late)
	{
		run->late_seconds += (GetCurrentTimestamp() - began) / 1e6;
		run->late_trainer_seconds += run->trainer_seconds - cpu;
	}
	return in_time;
}

/* All stages; false: the time limit came first. */
static bool
hb_run_stages(HbRun *run)
{
	for (;;)
	{
		HbStatus status;

		MemoryContextSwitchTo(run->context);
		MemoryContextReset(run->stage_context);
		MemoryContextSwitchTo(run->stage_context);
		CHECK_FOR_INTERRUPTS();
		hb_status_init(&status);
		memset(&run->stage, 0, sizeof(run->stage));
		if (!run->scheduler->next(&hb_host_pg, &run->state, &run->stage, &status))
			hb_raise(&status);
		hb_run_decide(run, &run->stage);
		if (run->stage.ntrials == 0)
		{
			if (!hb_run_draw_next(run))
				return true;
			continue;
		}
		if (!hb_run_timed_stage(run))
			return false;
	}
}

TimestampTz
hb_run_deadline(const Interval *limit, TimestampTz started)
{
	double microseconds;

	if (!limit)
		return 0;
	microseconds = (double) limit->day * (double) USECS_PER_DAY + (double) limit->time;
	if (microseconds >= (double) (END_TIMESTAMP - started))
		return 0;
	return started + (int64) microseconds;
}

static void
hb_run_open(HbRun *run)
{
	const HbStudyRow *study = run->study;
	HbStatus status;

	hb_options_parse(study->options, &run->options);
	run->family = hb_family_find(study->model);
	if (!run->family)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unrecognized model \"%s\"", study->model)));
	hb_status_init(&status);
	run->sampler = hb_sampler_find(study->sampler, &status);
	if (!run->sampler)
		hb_raise(&status);
	run->scheduler = hb_scheduler_find(study->scheduler, &status);
	if (!run->scheduler)
		hb_raise(&status);
	run->by_rows = strcmp(study->resource, "rows") == 0;
	run->by_folds = strcmp(study->resource, "folds") == 0;
	run->from_scratch = run->by_rows || run->by_folds;
	/* a mean of few folds is not comparable with one of all */
	run->completed_wins = run->scheduler->completed_wins || run->by_folds;
	run->epochs = run->options.epochs > 0 ? run->options.epochs : HB_DEFAULT_EPOCHS;
	run->started = GetCurrentTimestamp();
	run->deadline = hb_run_deadline(study->time_limit, run->started);
}

/* How well cohorts and trainers were used: many trials a pass, and no trainer idle, is what makes a study fast. */
static void
hb_run_report(const HbRun *run, TimestampTz since)
{
	double seconds = (GetCurrentTimestamp() - since) / 1e6;

	if (run->chunks == 0)
		return;
	ereport(
		LOG,
		(errmsg("hyperband: study %lld trained %d trials in %lld cohorts and %.0f passes over the "
				"training rows, %.2f s of trainers' CPU time in %.2f s",
				(long long) run->study->study_id, run->ntrials, (long long) run->chunks,
				run->passes, run->trainer_seconds, seconds),
		 errhidestmt(true), errhidecontext(true)));
	if (run->late_seconds > 0)
		ereport(
			LOG,
			(errmsg("hyperband: study %lld trained its stages of at most %d trials in %.2f s, %.2f "
					"s of trainers' CPU time, which is %.0f %% of the time of %d trainers",
					(long long) run->study->study_id, HB_LATE_TRIALS, run->late_seconds,
					run->late_trainer_seconds,
					100 * run->late_trainer_seconds / (run->late_seconds * run->study->trainers),
					run->study->trainers),
			 errhidestmt(true), errhidecontext(true)));
}

void
hb_run_study(HbStudyRow *study)
{
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "hyperband study", ALLOCSET_DEFAULT_SIZES);
	HbRun *run = MemoryContextAllocZero(context, sizeof(HbRun));
	TimestampTz since;
	bool in_time;

	hb_current_run = run;
	run->context = context;
	run->stage_context = AllocSetContextCreate(context, "hyperband stage", ALLOCSET_DEFAULT_SIZES);
	run->scratch = AllocSetContextCreate(context, "hyperband scratch", ALLOCSET_DEFAULT_SIZES);
	run->study = study;
	MemoryContextSwitchTo(context);

	hb_study_check(study);
	if (study->settings)
		hb_settings_apply(study->settings);
	/* a cancel that came before its signal was heard */
	hb_run_look(run);
	hb_run_open(run);
	hb_run_load(run);
	hb_run_loaded(run);
	hb_run_plan(run);
	since = GetCurrentTimestamp();
	in_time = run->scheduler->asynchronous ? hb_run_asynchronous(run) : hb_run_stages(run);
	MemoryContextSwitchTo(run->context);
	hb_record_flush(run);
	hb_run_report(run, since);
	hb_finish(run, !in_time);
}

void
hb_run_cleanup(void)
{
	HbRun *run = hb_current_run;

	hb_slots_close_all();
	hb_loop_reset();
	hb_current_run = NULL;
	if (!run)
		return;
	if (run->data)
		hb_load_free(run->data);
	MemoryContextSwitchTo(TopMemoryContext);
	MemoryContextDelete(run->context);
}
