/*
 * run_plan.c - the plan of a study and its trials: those that are recorded, and new ones when their turn comes
 *
 * A sampler that does not learn draws everything at once.  One that learns draws a wave of brackets from all that the
 * waves before gave, in order of trial numbers, so that a proposal depends on the plan and the recorded results
 * alone, never on who finished first.  Without a largest resource the plan grows round by round.  What was drawn is
 * read back from the catalog: a resumed study sees configurations as jsonb keeps them.
 */
#include "pg.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "pg/external.h"
#include "pg/request.h"
#include "pg/run.h"
#include "tune/racing.h"

/* ---- arrays by number ---- */

static void *
hb_grown(const HbRun *run, void *array, size_t size, int capacity)
{
	void *grown = MemoryContextAllocExtended(run->context, size * capacity,
											 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	if (array)
	{
		memcpy(grown, array, size * run->ntrials);
		pfree(array);
	}
	return grown;
}

static void
hb_run_reserve(HbRun *run, int trials)
{
	int capacity = Max(trials, (int) Min((int64) run->capacity * 2, PG_INT32_MAX));

	if (trials <= run->capacity)
		return;
	run->rows = hb_grown(run, run->rows, sizeof(*run->rows), capacity);
	run->params = hb_grown(run, run->params, sizeof(*run->params), capacity);
	run->stored = hb_grown(run, run->stored, sizeof(*run->stored), capacity);
	run->held = hb_grown(run, run->held, sizeof(*run->held), capacity);
	run->state.trials = hb_grown(run, run->state.trials, sizeof(*run->state.trials), capacity);
	if (run->by_folds)
		run->metrics = hb_grown(run, run->metrics, sizeof(*run->metrics), capacity);
	run->capacity = capacity;
}

/* The dense parameters of a trial, from the configuration as the catalog holds it. */
static void
hb_run_resolve(HbRun *run, int i)
{
	MemoryContext caller = MemoryContextSwitchTo(run->scratch);
	bool infinite = run->request.infinite;
	HbStatus status;

	MemoryContextReset(run->scratch);
	hb_status_init(&status);
	if (!hb_resolve_config(run->family, &run->problem, infinite,
						   hb_json_from_jsonb(run->rows[i].config), run->params[i], &status) ||
		!run->family->check(run->family, &run->problem, run->params[i], run->metric, infinite,
							&status))
		hb_raise(&status);
	MemoryContextSwitchTo(caller);
}

static int
hb_bracket_index(const HbPlan *plan, int bracket)
{
	int i;

	for (i = 0; i < plan->nbrackets; i++)
		if (plan->brackets[i].bracket == bracket)
			return i;
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("bracket %d is not in the plan of the study", bracket)));
	return -1;
}

/*
 * The scheduler's view of a trial.  One that was being trained when a supervisor ended waits again; one at its
 * last rung waits for the rung's ranks, which may not have been written, and which come out the same if they were.
 */
static void
hb_run_view(HbRun *run, int i)
{
	const HbTrialRow *row = &run->rows[i];
	HbTrialView *view = &run->state.trials[i];
	const double *params = run->params[i];
	int batch = hb_family_param_index(run->family, "batch_size");
	HbProblem dense = run->problem;

	dense.row_values = 0;
	view->number = row->number;
	view->bracket_index = hb_bracket_index(&run->plan, row->bracket);
	view->rung = row->rung;
	view->resource = row->resource;
	view->state = row->state == HB_TRIAL_RUNNING || row->state == HB_TRIAL_COMPLETED
					  ? HB_TRIAL_WAITING
					  : row->state;
	view->loss = row->loss;
	view->tie_loss = row->tie_loss;
	view->evaluated = row->undecided || row->state == HB_TRIAL_COMPLETED;
	view->started = row->begun && row->rung < 0 && view->state == HB_TRIAL_WAITING;
	view->batch_size = batch >= 0 ? (int64) params[batch] : 1;
	view->cost = run->family->cost(run->family, &run->problem, params);
	view->size = run->family->cost(run->family, &dense, params);
	run->stored[i] = view->state == HB_TRIAL_WAITING && !run->from_scratch ? row->resource : 0;
	hb_run_check_view(run, view);
}

/* Means of the pulls so far. */
static void
hb_run_metrics(HbRun *run, int i)
{
	const HbJson *metrics = run->rows[i].metrics ? hb_json_from_jsonb(run->rows[i].metrics) : NULL;
	int m;

	for (m = 0; m < HB_METRIC_COUNT; m++)
	{
		const HbJson *value = metrics ? hb_json_get(metrics, hb_metrics[m].name) : NULL;

		run->metrics[i].value[m] = value && value->type == HB_JSON_NUMBER ? value->number : NAN;
	}
}

uint64
hb_config_digest(Jsonb *config)
{
	return DatumGetUInt64(
		DirectFunctionCall2(jsonb_hash_extended, JsonbPGetDatum(config), UInt64GetDatum(0)));
}

/* Mirrors trials of the catalog that are not mirrored yet. */
static void
hb_run_append(HbRun *run, const HbTrialRow *rows, int n)
{
	int i;

	hb_run_reserve(run, run->ntrials + n);
	for (i = 0; i < n; i++)
	{
		int at = run->ntrials;
		uint64 digest = hb_config_digest(rows[i].config);

		CHECK_FOR_INTERRUPTS();
		if (rows[i].number != at + 1)
			ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
							errmsg("trial %d of the study is missing", at + 1)));
		run->rows[at] = rows[i];
		hb_run_resolve(run, at);
		hb_run_view(run, at);
		if (run->by_folds)
			hb_run_metrics(run, at);
		(void) hash_search(run->seen, &digest, HASH_ENTER, NULL);
		run->ntrials++;
	}
	run->state.ntrials = run->ntrials;
}

/* Those beyond the mirrored ones, in memory that lasts. */
static HbTrialRow *
hb_run_read(HbRun *run, int *n)
{
	MemoryContext caller = MemoryContextSwitchTo(run->context);
	HbTransaction transaction;
	HbTrialRow *rows;

	hb_transaction_begin(&transaction);
	rows = hb_trials_get(run->study->study_id, run->ntrials, n);
	hb_transaction_commit(&transaction);
	MemoryContextSwitchTo(caller);
	return rows;
}

static void
hb_run_read_new(HbRun *run)
{
	int n;
	HbTrialRow *rows = hb_run_read(run, &n);

	hb_run_append(run, rows, n);
	pfree(rows);
}

/* ---- drawing ---- */

static bool
hb_config_seen(void *context, const HbJson *config)
{
	const HbRun *run = context;
	uint64 digest = hb_config_digest(hb_json_to_jsonb(config));

	return hash_search(run->seen, &digest, HASH_FIND, NULL) != NULL;
}

/* One bracket's rungs are several resource levels. */
static bool
hb_run_multi_fidelity(const HbRun *run)
{
	int i;

	for (i = 0; i < run->plan.nbrackets; i++)
		if (run->plan.brackets[i].nrungs > 1)
			return true;
	return false;
}

/* Another study's best configurations take the place of so many of the first bracket's draws. */
static int64
hb_warm_trials(HbRun *run)
{
	int64 share = Max(run->plan.brackets[0].trials / run->plan.eta, 1);

	if (run->options.warm_start == 0)
		return 0;
	if (run->warm == NULL)
		run->warm = hb_warm_read(run);
	return Min(share, run->warm->nconfigs);
}

/* Trials that ended on their way to a rung count as the worst of those that came there. */
static void
hb_observe_ends(const HbRun *run, HbObservation *observations, int n)
{
	int i;

	for (i = 0; i < n; i++)
	{
		HbObservation *o = &observations[i];
		int bracket = run->state.trials[o->number - 1].bracket_index;

		if (!isfinite(o->loss))
			o->resource = hb_plan_level(&run->plan.brackets[bracket], o->resource);
	}
}

/* Results for a sampler that learns: another study's, then this one's, in order of numbers. */
static void
hb_run_observe(HbRun *run, HbSampleRequest *request)
{
	const HbWarm *warm = run->warm;
	HbObservation *own;
	HbObservation *all;
	HbTransaction transaction;
	int n;
	int before = warm ? warm->nobservations : 0;

	hb_transaction_begin(&transaction);
	own = hb_observations_get(run->study->study_id, PG_INT32_MAX, &n);
	if (run->scheduler->asynchronous)
		request->pending = hb_pending_get(run->study->study_id, 0, false, &request->npending);
	hb_transaction_commit(&transaction);
	hb_observe_ends(run, own, n);
	all = palloc(sizeof(HbObservation) * Max(before + n, 1));
	if (before > 0)
		memcpy(all, warm->observations, sizeof(HbObservation) * before);
	memcpy(all + before, own, sizeof(HbObservation) * n);
	request->observations = all;
	request->nobservations = before + n;
}

static void
hb_run_sample_request(HbRun *run, HbSampleRequest *request)
{
	memset(request, 0, sizeof(*request));
	request->host = &hb_host_pg;
	request->space = run->space;
	request->seed = (uint64_t) run->study->seed;
	request->warm_trials = hb_warm_trials(run);
	request->multi_fidelity = hb_run_multi_fidelity(run);
	request->seen = hb_config_seen;
	request->seen_context = run;
	request->memo = &run->memo;
	if (run->sampler->learns)
		hb_run_observe(run, request);
}

/* The configuration of a trial, in the caller's memory. */
static Jsonb *
hb_run_sample(HbRun *run, HbSampleRequest *request, int64 number)
{
	MemoryContext caller = MemoryContextSwitchTo(run->scratch);
	HbStatus status;
	HbJson *config;
	Jsonb *drawn;
	Jsonb *copy;
	uint64 digest;

	CHECK_FOR_INTERRUPTS();
	MemoryContextReset(run->scratch);
	hb_status_init(&status);
	request->number = number;
	config = number <= request->warm_trials ? run->warm->configs[number - 1]
											: run->sampler->sample(request, &status);
	if (!config)
		hb_raise(&status);
	drawn = hb_json_to_jsonb(config);
	digest = hb_config_digest(drawn);
	(void) hash_search(run->seen, &digest, HASH_ENTER, NULL);
	MemoryContextSwitchTo(caller);
	copy = palloc(VARSIZE(drawn));
	memcpy(copy, drawn, VARSIZE(drawn));
	return copy;
}

static void
hb_run_draw_one(HbRun *run, HbSampleRequest *request, int64 number, int bracket, HbTrialRow *row)
{
	memset(row, 0, sizeof(*row));
	row->number = number;
	row->bracket = bracket;
	row->config = hb_run_sample(run, request, number);
	row->state = HB_TRIAL_WAITING;
	row->rung = -1;
	row->loss = row->tie_loss = NAN;
}

/* Trials of brackets first..last-1; one sees those drawn before it as pending. */
static HbTrialRow *
hb_run_draw(HbRun *run, int first, int last, int *ndrawn)
{
	const HbPlanBracket *end = &run->plan.brackets[last - 1];
	int64 begin = run->plan.brackets[first].first_number;
	int64 n = end->first_number + end->trials - begin;
	HbTrialRow *rows = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(HbTrialRow) * n);
	const HbJson **pending = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(HbJson *) * n);
	HbSampleRequest request;
	int64 i = 0;
	int b;

	hb_run_sample_request(run, &request);
	request.pending = pending;
	for (b = first; b < last; b++)
	{
		const HbPlanBracket *bracket = &run->plan.brackets[b];
		int64 stop = bracket->first_number + bracket->trials - begin;

		for (; i < stop; i++)
		{
			hb_run_draw_one(run, &request, begin + i, bracket->bracket, &rows[i]);
			if (!run->sampler->learns)
				continue;
			pending[i] = hb_json_from_jsonb(rows[i].config);
			request.npending = (int) i + 1;
		}
	}
	*ndrawn = (int) n;
	return rows;
}

static int64
hb_run_cost(const HbRun *run)
{
	/* a plan without an end is measured by what there is of it */
	return run->request.infinite && run->request.n_trials == 0
			   ? hb_plan_cost(&run->plan, run->by_rows)
			   : hb_plan_whole_cost(&run->request, &run->plan, run->by_rows);
}

/* Appends brackets to an infinite plan; false: there is an end, and it is reached. */
static bool
hb_run_extend(HbRun *run)
{
	MemoryContext caller;
	HbStatus status;
	bool extended = false;

	if (!run->request.infinite)
		return false;
	hb_status_init(&status);
	caller = MemoryContextSwitchTo(run->context);
	if (!run->scheduler->extend(&hb_host_pg, &run->request, &run->plan, &extended, &status))
		hb_raise(&status);
	MemoryContextSwitchTo(caller);
	return extended;
}

bool
hb_run_draw_next(HbRun *run)
{
	int first = hb_plan_drawn(&run->plan, run->ntrials);
	HbTransaction transaction;
	HbTrialRow *rows;
	int last;
	int n;

	/* what is drawn may depend on what is recorded */
	hb_record_flush(run);
	if (first == run->plan.nbrackets && !hb_run_extend(run))
		return false;
	last = run->plan.nbrackets;
	if (run->sampler->learns)
		for (last = first + 1; last < run->plan.nbrackets &&
							   run->plan.brackets[last].wave == run->plan.brackets[first].wave;)
			last++;
	rows = hb_run_draw(run, first, last, &n);
	hb_transaction_begin(&transaction);
	hb_run_check_cancel(run);
	hb_plan_store(run->study->study_id, &run->plan, hb_run_cost(run), n, rows);
	hb_transaction_commit(&transaction);
	hb_run_read_new(run);
	return true;
}

void
hb_run_draw_started(HbRun *run, int64 seq)
{
	HbSampleRequest request;
	HbTransaction transaction;
	HbTrialRow row;
	HbTrialView *view;

	hb_run_sample_request(run, &request);
	hb_run_draw_one(run, &request, run->ntrials + 1, run->plan.brackets[0].bracket, &row);
	hb_transaction_begin(&transaction);
	hb_plan_store(run->study->study_id, &run->plan, hb_run_cost(run), 1, &row);
	hb_log_start(run->study->study_id, row.number, seq);
	hb_transaction_commit(&transaction);
	hb_run_read_new(run);
	view = &run->state.trials[run->ntrials - 1];
	view->state = HB_TRIAL_RUNNING;
	view->started = true;
}

/* ---- the plan ---- */

static void
hb_run_request(HbRun *run)
{
	const HbStudyRow *study = run->study;
	HbPlanRequest *request = &run->request;

	request->max_resource = study->max_resource;
	request->min_resource = study->min_resource;
	request->eta = study->eta;
	request->n_trials = study->n_trials;
	request->ceil = run->options.rounding_ceil;
	request->infinite = study->max_resource == 0;
	/*
	 * Where nothing goes on from a checkpoint, a trial could not pass a level at which only others have a rung without
	 * being trained there: brackets run one after another, too.
	 */
	if (run->sampler->learns)
		request->batch = HB_PLAN_BATCH;
	else if (run->from_scratch)
		request->batch = PG_INT32_MAX;
}

/* A grid that has fewer points than the plan has trials ends the study. */
static void
hb_run_limit(HbRun *run)
{
	int64 proposals = PG_INT64_MAX;
	HbStatus status;

	hb_status_init(&status);
	if (run->sampler->limit && !run->sampler->limit(&hb_host_pg, run->space, &proposals, &status))
		hb_raise(&status);
	if (proposals == PG_INT64_MAX)
		return;
	if (run->request.infinite ? run->request.n_trials == 0 || run->request.n_trials > proposals
							  : run->plan.trials > proposals)
	{
		run->request.n_trials = proposals;
		hb_plan_release(&hb_host_pg, &run->plan);
		if (!run->scheduler->plan(&hb_host_pg, &run->request, &run->plan, &status))
			hb_raise(&status);
	}
}

/* The search space of the study, the family's own where the user gave none. */
static HbSpace *
hb_run_space(HbRun *run)
{
	HbStudyRow *study = run->study;
	HbTransaction transaction;
	HbStatus status;
	HbSpace *space;

	if (!study->search_space)
	{
		HbJson *json = hb_family_default_space(&hb_host_pg, run->family, &run->problem);
		int i;

		if (!json)
			ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
		for (i = 0; i < json->count; i++)
			if (run->request.infinite && strcmp(json->keys[i], "schedule") == 0)
				json->items[i] = hb_json_string(&hb_host_pg, HB_INFINITE_SCHEDULE);
		study->search_space = hb_json_to_jsonb(json);
		hb_transaction_begin(&transaction);
		hb_study_set_search_space(study->study_id, study->search_space);
		hb_transaction_commit(&transaction);
	}
	hb_status_init(&status);
	space = hb_space_parse(&hb_host_pg, hb_json_from_jsonb(study->search_space), &status);
	if (!space)
		hb_raise(&status);
	return space;
}

/* The incumbent, and what the scheduler wants to see of results. */
static void
hb_run_results(HbRun *run)
{
	HbTransaction transaction;
	int64 trial_id;
	int rung;

	hb_transaction_begin(&transaction);
	if (!hb_best_evaluation(run->study->study_id, false, &trial_id, &run->best.number, &rung,
							&run->best.resource, &run->best.loss, &run->best.tie_loss))
		run->best.number = 0;
	run->results = hb_results_get(run->study->study_id, &run->state.nresults);
	run->state.last_seq = hb_log_last(run->study->study_id);
	hb_transaction_commit(&transaction);
	run->best_stored = run->best;
	hb_run_check_results(run);
	run->results_capacity = run->state.nresults;
	run->state.results = run->results;
}

/* Each pull alone, from the means after it and before it. */
static void
hb_run_pulls(HbRun *run)
{
	double *before = palloc(sizeof(double) * Max(run->ntrials, 1));
	int rung;
	int64 i;

	for (i = 0; i < run->ntrials; i++)
		before[i] = NAN;
	/* results come by number and rung where there is no log */
	for (i = 0; i < run->state.nresults; i++)
	{
		HbResult *result = &run->results[i];

		rung = result->rung;
		result->pull = hb_racing_pull(result->loss, before[result->number - 1],
									  run->plan.brackets[0].rungs[rung].resource);
		before[result->number - 1] = result->loss;
	}
	pfree(before);
}

void
hb_run_add_result(HbRun *run, const HbResult *result)
{
	if (!run->scheduler->asynchronous && !run->scheduler->completed_wins)
		return;
	if (run->state.nresults >= run->results_capacity)
	{
		int64 capacity = Max(256, run->results_capacity * 2);
		HbResult *results = MemoryContextAllocHuge(run->context, sizeof(HbResult) * capacity);

		memcpy(results, run->results, sizeof(HbResult) * run->state.nresults);
		pfree(run->results);
		run->results = results;
		run->state.results = results;
		run->results_capacity = capacity;
	}
	run->results[run->state.nresults++] = *result;
}

static void
hb_run_check_recorded(const HbRun *run)
{
	bool one_by_one = run->scheduler->asynchronous && run->sampler->learns;

	if (run->ntrials > run->plan.trials ||
		(!one_by_one && hb_plan_drawn(&run->plan, run->ntrials) < 0))
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("study has %d trials, its plan %lld", run->ntrials,
							   (long long) run->plan.trials)));
}

struct HTAB *
hb_digests_create(MemoryContext context)
{
	HASHCTL control = {.keysize = sizeof(uint64), .entrysize = sizeof(uint64), .hcxt = context};

	return hash_create("hyperband configurations", 256, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * After a reload of changed data: weights can go on only where the data still makes as many inputs and
 * outputs.  All trials of a study share them, so one checkpoint tells.
 */
static void
hb_check_shape(const HbRun *run)
{
	HbTransaction transaction;
	HbModelInfo info;
	HbModel *model;
	HbStatus status;
	void *bytes = NULL;
	size_t length = 0;
	int i;

	hb_transaction_begin(&transaction);
	for (i = 0; i < run->ntrials && bytes == NULL; i++)
		if (run->rows[i].resource > 0)
			bytes = hb_checkpoint_get(run->rows[i].trial_id, run->rows[i].resource, &length);
	hb_transaction_commit(&transaction);
	if (bytes == NULL)
		return;
	hb_status_init(&status);
	model = run->family->open(&hb_host_pg, bytes, length, &status);
	if (model == NULL)
		hb_raise(&status);
	hb_model_info(model, &info);
	run->family->close(model);
	pfree(bytes);
	if (info.inputs != run->problem.inputs || info.outputs != run->problem.outputs)
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("training data has changed its shape since the study began"),
			 errdetail("It makes %u inputs and %u outputs now, the study's trials have %u and %u.",
					   run->problem.inputs, run->problem.outputs, info.inputs, info.outputs),
			 errhint("Start a new study.")));
}

void
hb_run_plan(HbRun *run)
{
	HbTrialRow *rows;
	HbStatus status;
	int n;

	hb_status_init(&status);
	hb_run_request(run);
	run->space = hb_run_space(run);
	if (!run->scheduler->plan(&hb_host_pg, &run->request, &run->plan, &status))
		hb_raise(&status);
	hb_run_limit(run);
	if (run->plan.trials > HB_MAX_TRIALS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("study would have %lld trials", (long long) run->plan.trials),
						errdetail("The limit is %d.", HB_MAX_TRIALS)));
	run->seen = hb_digests_create(run->context);
	rows = hb_run_read(run, &n);
	while (run->plan.trials < n && hb_run_extend(run))
		CHECK_FOR_INTERRUPTS();
	run->state.plan = &run->plan;
	hb_run_append(run, rows, n);
	hb_run_check_recorded(run);
	hb_check_shape(run);
	hb_run_results(run);
	if (run->scheduler->completed_wins)
		hb_run_pulls(run);
	if (n == 0 && !(run->scheduler->asynchronous && run->sampler->learns))
	{
		MemoryContextSwitchTo(run->stage_context);
		(void) hb_run_draw_next(run);
		MemoryContextSwitchTo(run->context);
	}
	if (run->scheduler->open && !run->scheduler->open(&hb_host_pg, &run->state, &status))
		hb_raise(&status);
}
