/*
 * folds.c - k-fold cross-validation: each pull trains without one fold and is evaluated on it
 *
 * A fold is every k-th training row in hash order, so that folds are the same for every trial and every study of a
 * split.  Rows of equal features follow each other in that order and count as one: were they in different folds, a
 * network would be praised for remembering them.  A pull sees a view of the data set: the other folds as its training
 * rows, the fold as its validation rows.  Figures are means over the pulls; what has no value in one of them has no mean.
 */
#include <math.h>
#include <string.h>

#include "learn/family.h"
#include "trainer/serve.h"

/* A data set of which one fold validates; rows: header->rows_train numbers, the others first. */
typedef struct FoldView
{
	HbDatasetHeader header;
	HbDataset dataset;
	uint32_t *rows;
	bool single; /* fewer different rows than folds: each counts by itself */
} FoldView;

static bool
equal_features(const HbDataset *dataset, uint32_t a, uint32_t b)
{
	size_t bytes = dataset->header->record_bytes;

	return memcmp(dataset->records + a * bytes, dataset->records + b * bytes, bytes) == 0;
}

static bool
are_fewer_than(const HbDataset *dataset, uint32_t folds)
{
	uint32_t different = 1;

	for (uint64_t i = 1; different < folds && i < dataset->header->rows_train; i++)
		different += !equal_features(dataset, dataset->train[i - 1], dataset->train[i]);
	return different < folds;
}

static bool
open_view(HbServer *server, const HbJob *job, FoldView *view, HbStatus *status)
{
	size_t bytes = server->dataset->header->rows_train * sizeof(uint32_t);

	view->header = *server->dataset->header;
	view->dataset = *server->dataset;
	view->dataset.header = &view->header;
	if (server->dataset->header->rows_train < job->folds)
	{
		hb_fail(status, HB_ERR_DATA, "not enough rows to train");
		return hb_fail_detail(status, "Found %llu training rows, need at least %u.",
							  (unsigned long long) server->dataset->header->rows_train, job->folds);
	}
	view->single = are_fewer_than(server->dataset, job->folds);
	view->rows = hb_alloc(&server->host, bytes);
	return view->rows || hb_fail_memory(status, bytes);
}

static void
reverse(uint32_t *rows, uint64_t n)
{
	for (uint64_t i = 0; i < n / 2; i++)
	{
		uint32_t row = rows[i];

		rows[i] = rows[n - 1 - i];
		rows[n - 1 - i] = row;
	}
}

static void
set_fold(FoldView *view, const HbDataset *all, uint32_t folds, uint32_t fold)
{
	uint64_t n = all->header->rows_train, train = 0, validation = n, place = 0;

	for (uint64_t i = 0; i < n; i++)
	{
		if (i > 0 && (view->single || !equal_features(all, all->train[i - 1], all->train[i])))
			place++;
		view->rows[place % folds == fold ? --validation : train++] = all->train[i];
	}
	reverse(view->rows + validation, n - validation);
	view->header.rows_train = train;
	view->header.rows_validation = n - train;
	view->dataset.train = view->rows;
	view->dataset.validation = view->rows + train;
}

static void
add_pull(HbTrialResult *sum, const HbTrialResult *pull)
{
	if (pull->outcome == HB_OUTCOME_DIVERGED)
		sum->outcome = HB_OUTCOME_DIVERGED;
	sum->train_loss += pull->train_loss;
	sum->validation_loss += pull->validation_loss;
	sum->seconds += pull->seconds;
	for (int m = 0; m < HB_METRIC_COUNT; m++)
		sum->metrics.value[m] += pull->metrics.value[m];
}

static void
average(const HbJob *job, HbTrialResult *sum)
{
	double pulls = job->last_fold - job->first_fold;
	double metric;

	sum->train_loss /= pulls;
	sum->validation_loss /= pulls;
	for (int m = 0; m < HB_METRIC_COUNT; m++)
		sum->metrics.value[m] /= pulls;
	metric = sum->metrics.value[job->metric];
	sum->loss = sum->outcome == HB_OUTCOME_DIVERGED
					? NAN
					: hb_metric_loss((HbMetricId) job->metric, metric);
}

static void
release_trials(HbServer *server, HbJobResult *result)
{
	for (uint32_t i = 0; result->trials && i < result->ntrials; i++)
		hb_release(&server->host, (void *) result->trials[i].state);
	hb_release(&server->host, result->trials);
	result->trials = NULL;
}

/* Takes over the first pull's result, adds those of later ones. */
static void
collect(HbServer *server, HbJobResult *result, HbJobResult *pull)
{
	if (!result->trials)
	{
		*result = *pull;
		return;
	}
	for (uint32_t i = 0; i < result->ntrials; i++)
		add_pull(&result->trials[i], &pull->trials[i]);
	release_trials(server, pull);
}

bool
hb_train_folds(HbServer *server, const HbFamily *family, HbTrainContext *context, const HbJob *job,
			   HbJobResult *result, HbStatus *status)
{
	HbJob pull_job = *job;
	FoldView view = {.rows = NULL};
	bool done = open_view(server, job, &view, status);

	pull_job.want_state = 0;
	context->dataset = &view.dataset;
	/* a point of one fold says nothing of the mean */
	context->curve = NULL;
	for (uint32_t fold = job->first_fold; done && fold < job->last_fold; fold++)
	{
		HbJobResult pull = {0};

		set_fold(&view, server->dataset, job->folds, fold);
		done = family->train(family, context, &pull_job, &pull, status);
		if (done)
			collect(server, result, &pull);
		else
			release_trials(server, &pull);
	}
	for (uint32_t i = 0; done && i < result->ntrials; i++)
		average(job, &result->trials[i]);
	hb_release(&server->host, view.rows);
	return done;
}
