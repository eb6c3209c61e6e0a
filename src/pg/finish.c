/*
 * finish.c - from the last stage to a model: winner, test figures, comparison, new version
 *
 * The winner is the best of all rung evaluations; its checkpoint without optimizer state is the model.  A
 * trainer computes its metrics on the validation rows and, where the study set rows aside, on
 * the test rows, which nothing has looked at before.  The model now current under the study's name is evaluated on the
 * new study's validation rows, too: the new version becomes current only if it is strictly better there.
 * A model that cannot be compared (other features, other classes, damaged) is replaced.
 */
#include "pg.h"

#include <math.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "pg/external.h"
#include "pg/field.h"
#include "pg/run.h"

typedef struct HbWinner
{
	int64 trial_id;
	int64 number;
	int64 resource;
	double loss;
	void *model; /* without optimizer state */
	size_t length;
} HbWinner;

/* All metrics of the task; NULL where one has no value. */
static Jsonb *
hb_metrics_jsonb(const HbRun *run, const HbMetrics *metrics)
{
	HbJson *object = hb_json_object(&hb_host_pg);
	int i;

	for (i = 0; i < HB_METRIC_COUNT; i++)
	{
		if (hb_metrics[i].task != run->problem.task)
			continue;
		hb_json_set(&hb_host_pg, object, hb_metrics[i].name,
					isfinite(metrics->value[i]) ? hb_json_number(&hb_host_pg, metrics->value[i])
												: hb_json_null(&hb_host_pg));
	}
	return hb_json_to_jsonb(object);
}

/* No trial has a result: says why. */
static void
hb_no_winner(const HbRun *run, bool out_of_time)
{
	int diverged = 0;
	int failed = 0;
	int i;

	for (i = 0; i < run->ntrials; i++)
	{
		diverged += run->state.trials[i].state == HB_TRIAL_DIVERGED;
		failed += run->state.trials[i].state == HB_TRIAL_FAILED;
	}
	if (out_of_time)
		ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED), errmsg(HB_TIME_LIMIT_MESSAGE),
						errhint("Raise \"time_limit\", or lower \"min_resource\".")));
	if (failed > 0)
	{
		HbStatus failure = run->last_failure;

		if (!failure.detail[0])
			strlcpy(failure.detail, HB_ALL_FAILED_DETAIL, sizeof(failure.detail));
		hb_raise(&failure);
	}
	if (diverged > 0)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg("all trials diverged"),
						errhint("Lower the learning rates of the search space.")));
	ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
					errmsg("no trial has a finite %s", hb_metrics[run->metric].name)));
}

/*
 * The best evaluation by the study's rule.  Where only trials that completed count, and the time limit came before the
 * first did, it is the best of all.
 */
static bool
hb_winner_find(HbRun *run, HbWinner *winner)
{
	int64 study_id = run->study->study_id;
	double tie_loss;
	int rung;

	if (run->completed_wins &&
		hb_best_evaluation(study_id, true, &winner->trial_id, &winner->number, &rung,
						   &winner->resource, &winner->loss, &tie_loss))
		return hb_study_choose_best(study_id, true);
	return hb_best_evaluation(study_id, false, &winner->trial_id, &winner->number, &rung,
							  &winner->resource, &winner->loss, &tie_loss);
}

/* Folds leave no weights behind: the winner is trained once more, on all training rows. */
static void *
hb_winner_refit(HbRun *run, const HbWinner *winner, size_t *length)
{
	HbWork *work = palloc0(sizeof(HbWork));
	HbJob *job = palloc0(sizeof(HbJob));

	job->kind = HB_JOB_TRAIN;
	strlcpy(job->family, run->family->name, sizeof(job->family));
	job->metric = run->metric;
	job->seed = (uint64) run->study->seed;
	job->nparams = run->family->nparams;
	job->to_resource = job->max_resource = (uint32) run->epochs;
	job->want_state = 1;
	job->ntrials = 1;
	job->trials = palloc0(sizeof(HbJobTrial));
	job->trials[0].number = winner->number;
	memcpy(job->trials[0].params, run->params[winner->number - 1], sizeof(job->trials[0].params));
	work->job = job;
	(void) hb_loop(run, work, 1, NULL, false);
	if (work->failure.sqlstate[0])
		hb_raise(&work->failure);
	if (!work->trained)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("the winner diverged when it was trained on all rows")));
	*length = work->trained_bytes;
	return work->trained;
}

static void
hb_winner_get(HbRun *run, bool out_of_time, HbWinner *winner)
{
	HbTransaction transaction;
	HbStatus status;
	void *checkpoint = NULL;
	size_t length = 0;
	bool found;

	hb_transaction_begin(&transaction);
	hb_run_check_cancel(run);
	found = hb_winner_find(run, winner);
	if (found && !run->by_folds)
		checkpoint = hb_checkpoint_get(winner->trial_id, winner->resource, &length);
	hb_transaction_commit(&transaction);
	if (!found)
		hb_no_winner(run, out_of_time);
	if (winner->number < 1 || winner->number > run->ntrials)
		hb_study_damaged(run->study->study_id, "Its best trial is not there.");
	if (run->by_folds)
		checkpoint = hb_winner_refit(run, winner, &length);
	if (!checkpoint)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("checkpoint of trial %lld at resource %lld is missing",
							   (long long) winner->number, (long long) winner->resource)));
	hb_status_init(&status);
	if (!hb_checkpoint_to_model(&hb_host_pg, checkpoint, length, &winner->model, &winner->length,
								&status))
		hb_raise(&status);
	pfree(checkpoint);
}

static HbJob *
hb_evaluation(const HbRun *run, const char *family, HbPart part, const void *model, size_t length)
{
	const HbDatasetHeader *header = run->data->dataset.header;
	HbJob *job = palloc0(sizeof(HbJob));

	job->kind = HB_JOB_EVALUATE;
	strlcpy(job->family, family, sizeof(job->family));
	job->metric = run->metric;
	job->seed = (uint64) run->study->seed;
	job->part = part;
	job->model = model;
	job->model_bytes = length;
	job->nclasses = run->problem.outputs;
	job->target_mean = header->target_mean;
	job->target_scale = header->target_scale;
	return job;
}

static int
hb_label_index(char **labels, const char *label)
{
	int i;

	for (i = 0; labels && labels[i]; i++)
		if (strcmp(labels[i], label) == 0)
			return i;
	return -1;
}

/* The current model's output for each class of the new data; NULL: a class that it does not know. */
static uint32 *
hb_class_map(const HbRun *run, const HbModelRow *model)
{
	uint32 *map = palloc(sizeof(uint32) * run->problem.outputs);
	uint32 i;

	for (i = 0; i < run->problem.outputs; i++)
	{
		int output = hb_label_index(model->labels, run->data->labels[i]);

		if (output < 0)
			return NULL;
		map[i] = (uint32) output;
	}
	return map;
}

/* The job that evaluates the current model on the new validation rows; NULL with the reason: it cannot be. */
static HbJob *
hb_comparison_job(const HbRun *run, const HbModelRow *model, const char **reason)
{
	HbFieldEncoder *fields;
	HbEncoder *encoder;
	HbJob *job;

	if (!hb_family_find(model->family))
	{
		*reason = "its model family is not known";
		return NULL;
	}
	if (strcmp(model->task,
			   run->problem.task == HB_TASK_CLASSIFICATION ? "classification" : "regression") != 0)
	{
		*reason = "it is for another task";
		return NULL;
	}
	fields = hb_encoder_from_jsonb(model->encoder);
	encoder = hb_encoder_remap(fields, hb_encoder_from_jsonb(run->data->encoder));
	if (!encoder)
	{
		*reason = "it has other features";
		return NULL;
	}
	job = hb_evaluation(run, model->family, HB_PART_VALIDATION, hb_model_bytes(model),
						(size_t) model->total_bytes);
	job->encoder = *encoder;
	job->target_mean = fields->target_mean;
	job->target_scale = fields->target_scale;
	if (run->problem.task == HB_TASK_CLASSIFICATION)
	{
		job->class_map = hb_class_map(run, model);
		if (!job->class_map)
		{
			*reason = "it does not know every class";
			return NULL;
		}
	}
	return job;
}

/*
 * The current model of the study's name and its job.  A damaged one must not keep a new one from taking its place:
 * such an error is logged and is the reason for the replacement.
 */
static HbModelRow *
hb_current_model(HbRun *run, HbJob **job, const char **reason)
{
	MemoryContext context = CurrentMemoryContext;
	HbModelRow *volatile current = NULL;
	HbTransaction transaction;

	*job = NULL;
	*reason = NULL;
	hb_transaction_begin(&transaction);
	current = hb_model_get(run->study->owner, run->study->name, 0);
	hb_transaction_commit(&transaction);
	if (!current)
		return NULL;
	PG_TRY();
	{
		hb_transaction_begin(&transaction);
		*job = hb_comparison_job(run, current, reason);
		hb_transaction_commit(&transaction);
	}
	PG_CATCH();
	{
		if (geterrcode() != ERRCODE_DATA_CORRUPTED)
			PG_RE_THROW();
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		*job = NULL;
		*reason = "it is damaged";
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	return current;
}

/* A failed evaluation of the winner fails the study; one of the current model makes it incomparable. */
static void
hb_evaluate(HbRun *run, HbWork *works, int n)
{
	if (n > 0)
		(void) hb_loop(run, works, n, NULL, false);
}

static Jsonb *
hb_evaluated(const HbRun *run, const HbWork *work)
{
	if (work->failure.sqlstate[0])
		hb_raise(&work->failure);
	return hb_metrics_jsonb(run, &work->metrics);
}

/* Whether the winner takes the place of the current model; both were evaluated on the same rows. */
static bool
hb_winner_replaces(const HbRun *run, const HbModelRow *current, const HbWork *winner,
				   const HbWork *comparison, const char *reason)
{
	double ours = hb_metric_loss(run->metric, winner->metrics.value[run->metric]);
	double theirs;

	if (!current)
		return true;
	if (comparison && strcmp(comparison->failure.sqlstate, HB_TRAINER_LOST) == 0)
	{
		/* says nothing about the current model: it stays */
		ereport(LOG, (errmsg("model \"%s\" stays at version %d: it could not be compared: %s",
							 current->name, current->version, comparison->failure.message)));
		return false;
	}
	if (comparison && comparison->failure.sqlstate[0])
		reason = comparison->failure.message;
	if (reason)
	{
		ereport(LOG, (errmsg("version %d of model \"%s\" is replaced without a comparison: %s",
							 current->version, current->name, reason)));
		return true;
	}
	theirs = hb_metric_loss(run->metric, comparison->metrics.value[run->metric]);
	if (!isfinite(theirs))
		return true;
	ereport(LOG,
			(errmsg("model \"%s\": %s of the new version %g, of version %d %g on the same rows",
					current->name, hb_metrics[run->metric].name, winner->metrics.value[run->metric],
					current->version, comparison->metrics.value[run->metric])));
	return ours < theirs;
}

static void
hb_model_fill(const HbRun *run, const HbWinner *winner, HbModelRow *model)
{
	memset(model, 0, sizeof(*model));
	model->owner = run->study->owner;
	model->name = run->study->name;
	model->study_id = run->study->study_id;
	model->trial_id = winner->trial_id;
	model->family = (char *) run->family->name;
	model->task = run->problem.task == HB_TASK_CLASSIFICATION ? "classification" : "regression";
	model->features = run->data->features;
	model->feature_types = run->data->feature_types;
	model->labels = run->data->labels;
	model->encoder = run->data->encoder;
	model->metric = (char *) hb_metrics[run->metric].name;
	model->loss = winner->loss;
	model->resource = winner->resource;
	model->split_key = run->data->split_key;
	model->format = HB_MODEL_FORMAT;
}

static bool
hb_store_once(HbRun *run, HbWinner *winner, HbModelRow *model, const HbModelRow *current,
			  bool make_current)
{
	HbTransaction transaction;
	HbModelRow *now;
	bool same;

	hb_transaction_begin(&transaction);
	hb_run_check_cancel(run);
	hb_lock_model_name(run->study->owner, run->study->name);
	now = hb_model_get(run->study->owner, run->study->name, 0);
	same = (now == NULL) == (current == NULL) && (!now || now->model_id == current->model_id);
	if (same)
	{
		(void) hb_model_insert(model, winner->model, winner->length, make_current);
		hb_study_finish(run->study->study_id, "done", NULL);
	}
	hb_transaction_commit(&transaction);
	return same;
}

/*
 * False: another session has changed the current model in the meantime, or is about to and waits for this one in a
 * circle.  That must not fail a study that has all its trainings behind it.
 */
static bool
hb_store_model(HbRun *run, HbWinner *winner, HbModelRow *model, const HbModelRow *current,
			   bool make_current)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool stored = false;

	/* once the study is done, nothing of it is left running */
	hb_slots_close_all();
	PG_TRY();
	{
		stored = hb_store_once(run, winner, model, current, make_current);
	}
	PG_CATCH();
	{
		if (geterrcode() != ERRCODE_T_R_DEADLOCK_DETECTED)
			PG_RE_THROW();
		FlushErrorState();
		AbortCurrentTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	return stored;
}

/* Evaluates the winner and the current model, and stores the new version; false: to be done again. */
static bool
hb_finish_once(HbRun *run, HbWinner *winner)
{
	HbWork *works = palloc0(sizeof(HbWork) * 3);
	HbWork *test = NULL;
	HbWork *comparison = NULL;
	HbModelRow model;
	HbModelRow *current;
	HbJob *job;
	const char *reason;
	int n = 0;

	current = hb_current_model(run, &job, &reason);
	works[n++].job =
		hb_evaluation(run, run->family->name, HB_PART_VALIDATION, winner->model, winner->length);
	if (run->data->rows_test > 0)
	{
		test = &works[n++];
		test->job =
			hb_evaluation(run, run->family->name, HB_PART_TEST, winner->model, winner->length);
	}
	if (job)
	{
		comparison = &works[n++];
		comparison->job = job;
	}
	hb_evaluate(run, works, n);

	hb_model_fill(run, winner, &model);
	model.metrics = hb_evaluated(run, &works[0]);
	/* the trial's loss is over the folds */
	if (run->by_folds)
		model.loss = hb_metric_loss(run->metric, works[0].metrics.value[run->metric]);
	model.test_metrics = test ? hb_evaluated(run, test) : NULL;
	return hb_store_model(run, winner, &model, current,
						  hb_winner_replaces(run, current, &works[0], comparison, reason));
}

void
hb_finish(HbRun *run, bool out_of_time)
{
	HbWinner winner;

	hb_winner_get(run, out_of_time, &winner);
	while (!hb_finish_once(run, &winner))
		CHECK_FOR_INTERRUPTS();
}
