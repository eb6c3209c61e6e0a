/*
 * train.c - one chunk of a stage: the job for a trainer, and its results
 *
 * A chunk's results count together or not at all.  They are applied to the run at once; record.c writes them, together
 * with the curve points that came before them.
 */
#include "pg.h"

#include <math.h>

#include "utils/memutils.h"

#include "pg/run.h"
#include "tune/racing.h"

static HbTrialView *
hb_view(const HbRun *run, int64 number)
{
	return &run->state.trials[number - 1];
}

bool
hb_train_recorded(const HbRun *run, const HbStage *stage, int64 number)
{
	const HbTrialView *view = hb_view(run, number);

	switch (view->state)
	{
		case HB_TRIAL_DIVERGED:
		case HB_TRIAL_FAILED:
		case HB_TRIAL_CANCELLED:
			return true;
		default:
			return view->resource >= stage->to_resource;
	}
}

/* Whether a trial is among ascending numbers. */
static bool
hb_has_number(const int64 *numbers, int n, uint64 number)
{
	int64 sought = (int64) number;

	return bsearch(&sought, numbers, n, sizeof(int64), hb_compare_numbers) != NULL;
}

/* The trials of the chunk that are still to be trained, ascending. */
static int64 *
hb_work_numbers(const HbRun *run, const HbWork *work, int *n)
{
	int64 *numbers = palloc(sizeof(int64) * Max(work->chunk->ntrials, 1));
	int i;

	*n = 0;
	for (i = 0; i < work->chunk->ntrials; i++)
		if (!hb_train_recorded(run, work->stage, work->chunk->numbers[i]))
			numbers[(*n)++] = work->chunk->numbers[i];
	return numbers;
}

/* Reads the checkpoint that a trial goes on from; in a transaction. */
static void
hb_read_state(const HbRun *run, const HbStage *stage, HbJobTrial *trial)
{
	size_t length = 0;
	HbStatus status;

	trial->state =
		hb_checkpoint_get(run->rows[trial->number - 1].trial_id, stage->from_resource, &length);
	trial->state_bytes = length;
	if (trial->state == NULL)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("checkpoint of trial %lld at resource %lld is missing",
							   (long long) trial->number, (long long) stage->from_resource)));
	hb_status_init(&status);
	if (!hb_checkpoint_check(trial->state, length, &status))
		hb_raise(&status);
}

/* The states that a job goes on from, from memory or from the catalog. */
static void
hb_get_states(const HbRun *run, const HbStage *stage, HbJob *job)
{
	HbTransaction transaction;
	uint32 missing = 0;
	uint32 i;

	for (i = 0; i < job->ntrials; i++)
	{
		const HbHeld *held = &run->held[job->trials[i].number - 1];

		job->trials[i].state = held->state;
		job->trials[i].state_bytes = held->bytes;
		missing += held->state == NULL;
	}
	if (missing == 0)
		return;
	hb_transaction_begin(&transaction);
	for (i = 0; i < job->ntrials; i++)
		if (job->trials[i].state == NULL)
			hb_read_state(run, stage, &job->trials[i]);
	hb_transaction_commit(&transaction);
}

/* The share of the training rows that a unit of resource stands for; never none. */
static uint64
hb_train_rows(const HbRun *run, int64 resource)
{
	uint64 rows = (uint64) resource * run->problem.rows_train / (uint64) run->study->max_resource;

	return Max(rows, 1);
}

double
hb_train_passes(const HbRun *run, const HbStage *stage)
{
	double pulled = (double) (stage->to_resource - stage->from_resource);

	if (!run->from_scratch)
		return pulled;
	if (run->by_rows)
		return (double) run->epochs * stage->to_resource / run->study->max_resource;
	return run->epochs * pulled * (1.0 - 1.0 / run->study->max_resource);
}

/*
 * Where the resource is rows or folds a job always trains the same number of epochs from scratch, on the rows that the
 * resource stands for.
 */
static void
hb_train_scratch(const HbRun *run, const HbStage *stage, HbJob *job)
{
	job->from_resource = 0;
	job->to_resource = job->max_resource = (uint32) run->epochs;
	if (run->by_rows)
		job->rows = hb_train_rows(run, stage->to_resource);
	else
	{
		job->folds = (uint32) run->study->max_resource;
		job->first_fold = (uint32) stage->from_resource;
		job->last_fold = (uint32) stage->to_resource;
		job->want_state = 0;
	}
}

static void
hb_train_job(const HbRun *run, const HbStage *stage, const HbSlot *slot, HbJob *job)
{
	memset(job, 0, sizeof(*job));
	job->id = slot->job_id;
	job->kind = HB_JOB_TRAIN;
	strlcpy(job->family, run->family->name, sizeof(job->family));
	job->metric = run->metric;
	job->seed = (uint64) run->study->seed;
	job->nparams = run->family->nparams;
	job->from_resource = (uint32) stage->from_resource;
	job->to_resource = (uint32) stage->to_resource;
	job->max_resource = (uint32) run->study->max_resource;
	job->curve_points = run->options.curve_points;
	job->want_state = 1;
	if (run->from_scratch)
		hb_train_scratch(run, stage, job);
}

void
hb_train_send(HbRun *run, HbWork *work, HbSlot *slot)
{
	HbJob job;
	int64 *numbers;
	int n;
	int i;

	hb_train_job(run, work->stage, slot, &job);
	numbers = hb_work_numbers(run, work, &n);
	job.ntrials = n;
	job.trials = palloc0(sizeof(HbJobTrial) * Max(n, 1));

	for (i = 0; i < n; i++)
	{
		job.trials[i].number = numbers[i];
		memcpy(job.trials[i].params, run->params[numbers[i] - 1], sizeof(job.trials[i].params));
	}
	if (job.from_resource > 0)
		hb_get_states(run, work->stage, &job);

	hb_record_start(run, numbers, n);
	for (i = 0; i < n; i++)
	{
		run->rows[numbers[i] - 1].attempt++;
		hb_view(run, numbers[i])->state = HB_TRIAL_RUNNING;
	}
	hb_pack_job(&slot->out, &job);
}

/* Checks an answer against the chunk: the same trials in the same order, at the stage's end, with their state. */
static bool
hb_result_check(const HbRun *run, const HbStage *stage, const HbJobResult *result,
				const int64 *numbers, int n, HbStatus *status)
{
	int64 reached = run->from_scratch ? run->epochs : stage->to_resource;
	int i;

	if (result->ntrials != (uint32) n)
		return hb_fail(status, HB_ERR_PROTOCOL, "result has %u trials, expected %d",
					   result->ntrials, n);
	for (i = 0; i < n; i++)
	{
		const HbTrialResult *trial = &result->trials[i];

		if (trial->number != (uint64) numbers[i])
			return hb_fail(status, HB_ERR_PROTOCOL, "result for trial %llu, expected %lld",
						   (unsigned long long) trial->number, (long long) numbers[i]);
		if (trial->outcome == HB_OUTCOME_DIVERGED)
			continue;
		if (trial->outcome != HB_OUTCOME_TRAINED || (int64) trial->resource != reached ||
			(trial->state == NULL && !run->by_folds))
			return hb_fail(status, HB_ERR_PROTOCOL, "incomplete result for trial %lld",
						   (long long) numbers[i]);
		if (trial->state && !hb_checkpoint_check(trial->state, trial->state_bytes, status))
			return false;
	}
	return true;
}

/* Breaks ties between winners: log loss, or the root mean squared error; hyperband.tie_loss() in SQL. */
static double
hb_tie_loss(const HbRun *run, const HbMetrics *metrics)
{
	if (run->problem.task == HB_TASK_CLASSIFICATION)
		return metrics->value[HB_METRIC_LOG_LOSS];
	return metrics->value[HB_METRIC_RMSE];
}

/* The mean over all pulls, from the mean of those before and the mean of those of this job. */
static void
hb_add_pulls(HbRun *run, const HbStage *stage, HbTrialResult *result)
{
	HbMetrics *mean = &run->metrics[result->number - 1];
	double before = (double) stage->from_resource;
	double all = (double) stage->to_resource;
	int m;

	for (m = 0; m < HB_METRIC_COUNT; m++)
	{
		if (stage->from_resource > 0)
			result->metrics.value[m] =
				(before * mean->value[m] + (all - before) * result->metrics.value[m]) / all;
		mean->value[m] = result->metrics.value[m];
	}
	result->loss = hb_metric_loss(run->metric, result->metrics.value[run->metric]);
}

/* What a job that began from scratch counted in epochs, in the study's resource. */
static void
hb_result_convert(HbRun *run, const HbStage *stage, HbTrialResult *result)
{
	bool trained = result->outcome == HB_OUTCOME_TRAINED;

	if (!run->from_scratch)
		return;
	result->resource = (uint32) (trained ? stage->to_resource : stage->from_resource);
	if (run->by_folds && trained)
		hb_add_pulls(run, stage, result);
}

/* For schedulers that look at every result, not only at each trial's last. */
static void
hb_result_tell(HbRun *run, const HbTrialView *view, double loss_before)
{
	HbResult result = {.number = view->number, .rung = view->rung, .loss = view->loss};

	result.pull = hb_racing_pull(view->loss, loss_before, view->resource);
	hb_run_add_result(run, &result);
}

/* A trial at its last rung waits, too, until the scheduler has ranked that rung. */
static void
hb_view_apply(HbRun *run, const HbTrialResult *result)
{
	HbTrialView *view = hb_view(run, (int64) result->number);
	int rung = hb_rung_at(&run->plan, view, result->resource);
	double loss_before = view->loss;

	view->started = false;
	if (result->outcome == HB_OUTCOME_DIVERGED)
	{
		view->state = HB_TRIAL_DIVERGED;
		return;
	}
	view->resource = result->resource;
	view->state = HB_TRIAL_WAITING;
	if (rung < 0)
		return;
	view->rung = rung;
	view->loss = result->loss;
	view->tie_loss = hb_tie_loss(run, &result->metrics);
	view->evaluated = true;
	hb_result_tell(run, view, loss_before);
}

/* Whether the trial's latest evaluation is the best of all. */
static void
hb_best_update(HbRun *run, const HbTrialView *view)
{
	HbIncumbent *best = &run->best;

	if (view->rung < 0 || !view->evaluated || !isfinite(view->loss))
		return;
	if (best->number != 0 &&
		!hb_result_better(view->loss, view->tie_loss, view->resource, view->number, best->loss,
						  best->tie_loss, best->resource, best->number))
		return;
	best->number = view->number;
	best->resource = view->resource;
	best->loss = view->loss;
	best->tie_loss = view->tie_loss;
}

static void
hb_trial_record(HbRun *run, const HbTrialResult *result, HbTrialRecord *record)
{
	const HbTrialView *view = hb_view(run, (int64) result->number);
	const HbTrialRow *row = &run->rows[result->number - 1];
	const HbPlanBracket *bracket = &run->plan.brackets[view->bracket_index];
	bool trained = result->outcome == HB_OUTCOME_TRAINED;

	record->trial_id = row->trial_id;
	record->attempt = row->attempt;
	record->result = result;
	record->rung = trained ? hb_rung_at(&run->plan, view, result->resource) : -1;
	record->last_rung = record->rung == bracket->nrungs - 1;
	record->from_scratch = run->by_rows;
	if (record->rung >= 0 && run->scheduler->asynchronous)
		record->seq = ++run->state.last_seq;
}

bool
hb_train_record(HbRun *run, HbWork *work, HbJobResult *result, HbStatus *status)
{
	HbTrialRecord *records;
	int64 *numbers;
	int n;
	int i;

	numbers = hb_work_numbers(run, work, &n);
	if (!hb_result_check(run, work->stage, result, numbers, n, status))
		return false;
	for (i = 0; i < n; i++)
		hb_result_convert(run, work->stage, &result->trials[i]);
	for (i = 0; i < n; i++)
		hb_view_apply(run, &result->trials[i]);
	for (i = 0; i < n; i++)
		if (result->trials[i].outcome == HB_OUTCOME_TRAINED)
			hb_best_update(run, hb_view(run, numbers[i]));
	records = palloc0(sizeof(HbTrialRecord) * Max(n, 1));
	for (i = 0; i < n; i++)
		hb_trial_record(run, &result->trials[i], &records[i]);

	hb_record_results(run, numbers, records, n);
	hb_record_turn(run);
	return true;
}

void
hb_train_lost(HbRun *run, HbWork *work)
{
	int64 *numbers;
	int kept = 0;
	int n;
	int i;

	numbers = hb_work_numbers(run, work, &n);
	/* an asynchronous scheduler would hand it out again, while this work is tried again */
	for (i = 0; i < n && !run->scheduler->asynchronous; i++)
		hb_view(run, numbers[i])->state = HB_TRIAL_WAITING;
	/* the next attempt sends the same points again */
	for (i = 0; i < run->npoints; i++)
	{
		if ((int64) run->points[i].resource > work->stage->from_resource &&
			hb_has_number(numbers, n, run->points[i].trial))
			continue;
		run->points[kept] = run->points[i];
		run->point_ids[kept++] = run->point_ids[i];
	}
	run->npoints = kept;
}

void
hb_train_fail(HbRun *run, HbWork *work, const HbStatus *failure)
{
	int64 *numbers;
	int n;
	int i;

	numbers = hb_work_numbers(run, work, &n);
	hb_record_failure(run, numbers, n, failure);
	for (i = 0; i < n; i++)
		hb_view(run, numbers[i])->state = HB_TRIAL_FAILED;
	run->last_failure = *failure;
	/* without lockstep the next draw may look for it in the catalog */
	hb_record_turn(run);
}

HbChunk *
hb_train_halves(HbRun *run, const HbWork *work)
{
	MemoryContext caller = MemoryContextSwitchTo(run->stage_context);
	HbChunk *halves = NULL;
	int64 *numbers;
	int n;

	numbers = hb_work_numbers(run, work, &n);
	if (n > 1)
	{
		halves = palloc(sizeof(HbChunk) * 2);
		halves[0] = halves[1] = *work->chunk;
		halves[0].numbers = numbers;
		halves[0].ntrials = n / 2;
		halves[1].numbers = numbers + n / 2;
		halves[1].ntrials = n - n / 2;
	}
	MemoryContextSwitchTo(caller);
	return halves;
}

/* The end of a training from scratch is one point of the study's curve; epochs on the way are none. */
static bool
hb_curve_convert(const HbRun *run, const HbWork *work, HbCurvePoint *point)
{
	if (!run->from_scratch)
		return true;
	if ((int64) point->resource != run->epochs)
		return false;
	point->resource = (uint32) work->stage->to_resource;
	return true;
}

bool
hb_curve_add(HbRun *run, const HbWork *work, HbCurvePoint *point)
{
	if (!hb_has_number(work->chunk->numbers, work->chunk->ntrials, point->trial))
		return false;
	if (!hb_curve_convert(run, work, point))
		return true;
	if ((int64) point->resource <= work->stage->from_resource ||
		(int64) point->resource > work->stage->to_resource)
		return false;
	if (run->npoints == run->points_capacity)
	{
		int capacity = Max(256, run->points_capacity * 2);
		HbCurvePoint *points =
			MemoryContextAllocHuge(run->context, sizeof(HbCurvePoint) * capacity);
		int64 *ids = MemoryContextAllocHuge(run->context, sizeof(int64) * capacity);

		if (run->npoints > 0)
		{
			memcpy(points, run->points, sizeof(HbCurvePoint) * run->npoints);
			memcpy(ids, run->point_ids, sizeof(int64) * run->npoints);
			pfree(run->points);
			pfree(run->point_ids);
		}
		run->points = points;
		run->point_ids = ids;
		run->points_capacity = capacity;
	}
	run->points[run->npoints] = *point;
	run->point_ids[run->npoints] = run->rows[point->trial - 1].trial_id;
	run->npoints++;
	return true;
}
