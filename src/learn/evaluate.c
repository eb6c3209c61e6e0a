/*
 * evaluate.c - the validation rows, through all trials of a chunk at once
 */
#include <math.h>
#include <string.h>

#include "learn/cohort.h"

/* Scores of the members evaluated together are kept until their metrics are computed. */
#define SCORE_BYTES ((size_t) 32 << 20)

typedef struct Evaluation
{
	const uint32_t *rows;
	size_t n;
	bool all;         /* metrics, not only the study's own */
	float **scores;   /* a member: [outputs][n]; NULL where counting errors is enough */
	double *loss;     /* a member: sum */
	uint64_t *errors; /* a member: rows classified wrongly */
	const uint32_t *labels;
	const float *targets;
} Evaluation;

/* All classes' scores less the last's: a row of zeros for the last. */
static hb_real *
with_baseline(HbWorkspace *ws, const HbMember *member, const hb_real *z0)
{
	hb_real *z = ws->z[0];

	memcpy(z, z0, member->lines * ws->ld * sizeof(hb_real));
	memset(z + member->lines * ws->ld, 0, ws->ld * sizeof(hb_real));
	return z;
}

static void
member_scores(HbCohort *cohort, HbMember *member, const HbTile *tile, size_t i, size_t at,
			  hb_real *z0, Evaluation *evaluation, int slot)
{
	HbWorkspace *ws = &cohort->evaluation_workspace;
	const HbShape *shape = &member->training.shape;
	HbPass pass;
	hb_real *z = hb_forward(ws, &member->network, tile->count[i],
							member->baseline ? with_baseline(ws, member, z0) : z0, NULL, &pass);
	HbScores scores = {.outputs = shape->units[shape->layers - 1],
					   .n = tile->count[i],
					   .ld = ws->ld,
					   .z = z,
					   .labels = tile->labels + i * tile->batch,
					   .targets = tile->targets + i * tile->batch,
					   .scratch = ws->scratch,
					   .softmax = evaluation->scores ? z : NULL};

	/* first: the loss may leave probabilities in the scores' place */
	if (cohort->task == HB_TASK_CLASSIFICATION)
		evaluation->errors[slot] += cohort->provider->errors(&scores);
	evaluation->loss[slot] += hb_losses[shape->loss].sum(cohort->provider, &scores);
	if (evaluation->scores != NULL)
		hb_loss_place(shape, z, scores.n, ws->ld, evaluation->scores[slot] + at, 1, evaluation->n);
}

/* Those of the group that are among members first..first+count, over the rows of the tile, which begin at. */
static void
score_group(HbCohort *cohort, const HbGroup *group, int first, int count, size_t at,
			Evaluation *evaluation)
{
	const HbTile *tile = &cohort->evaluation_tile;
	size_t ld = cohort->evaluation_workspace.ld;

	hb_first_begin(cohort, group);
	for (size_t i = 0; i < tile->nbatches; i++)
	{
		hb_first_layer(cohort, group, tile, i, ld, cohort->evaluation_z0);
		for (int m = group->first; m < group->first + group->count && m < first + count; m++)
			member_scores(cohort, &cohort->members[m], tile, i, at + i * tile->batch,
						  cohort->evaluation_z0 + (cohort->members[m].line - group->line) * ld,
						  evaluation, m - first);
	}
}

/* Members first..first+count over all rows. */
static bool
score_members(HbCohort *cohort, int first, int count, Evaluation *evaluation, HbStatus *status)
{
	HbTile *tile = &cohort->evaluation_tile;
	size_t most = tile->capacity * tile->batch;

	for (size_t at = 0; at < evaluation->n; at += most)
	{
		size_t n = evaluation->n - at < most ? evaluation->n - at : most;
		HbGroup group;

		hb_tile_fill(cohort, evaluation->rows + at, n, evaluation->n - at - n, tile);
		for (int m = first; m < first + count && hb_next_group(cohort, m, &group);
			 m = group.first + group.count)
		{
			if (group.first >= first + count)
				break;
			score_group(cohort, &group, first, count, at, evaluation);
			if (!hb_cohort_tick(cohort, status))
				return false;
		}
	}
	return true;
}

static bool
compute_metrics(HbCohort *cohort, HbMember *member, const Evaluation *evaluation, int slot,
				HbStatus *status)
{
	const HbShape *shape = &member->training.shape;
	const float *scores = evaluation->scores ? evaluation->scores[slot] : NULL;
	bool calibrated = hb_losses[shape->loss].calibrated;
	double wrong = (double) evaluation->errors[slot];
	HbMetrics *metrics = &member->metrics;

	if (cohort->task == HB_TASK_REGRESSION)
		return hb_metrics_regression(scores, evaluation->targets, NULL, evaluation->n,
									 cohort->target_scale, metrics, status);
	if (scores == NULL) /* as the others say of it */
		metrics->value[HB_METRIC_ERROR] = wrong / (double) evaluation->n;
	else if (evaluation->all || cohort->job->metric == HB_METRIC_AUC)
		return hb_metrics_classification(cohort->context->host, scores, evaluation->labels, NULL,
										 evaluation->n, shape->outputs, calibrated, &wrong, metrics,
										 status);
	else
		return hb_metrics_rates(scores, evaluation->labels, NULL, evaluation->n, shape->outputs,
								calibrated, &wrong, metrics, status);
	return true;
}

static bool
member_metrics(HbCohort *cohort, HbMember *member, const Evaluation *evaluation, int slot,
			   HbStatus *status)
{
	bool regression = cohort->task == HB_TASK_REGRESSION;
	double mean = evaluation->loss[slot] / (double) evaluation->n;
	double loss;

	/* in the target's own unit, squared; float32 cannot square the error of an absurd target that only validates */
	if (regression)
	{
		if (!compute_metrics(cohort, member, evaluation, slot, status))
			return false;
		mean = 0.5 * member->metrics.value[HB_METRIC_RMSE] * member->metrics.value[HB_METRIC_RMSE];
	}
	member->validation_loss = mean;
	if (!isfinite(mean))
		return true;
	if (!regression && !compute_metrics(cohort, member, evaluation, slot, status))
		return false;
	loss = hb_metric_loss((HbMetricId) cohort->job->metric,
						  member->metrics.value[cohort->job->metric]);
	if (loss < member->best_loss || isnan(member->best_loss))
		member->best_loss = loss;
	return true;
}

static bool
gather_validation(HbCohort *cohort, HbArena *arena, Evaluation *evaluation, HbStatus *status)
{
	const HbDataset *dataset = cohort->context->dataset;
	uint64_t n;
	uint32_t *gathered;

	evaluation->rows = hb_dataset_part(dataset, HB_PART_VALIDATION, &n);
	evaluation->n = n;
	/* classes and float targets are both four bytes */
	gathered = hb_arena_alloc(arena, n, sizeof(uint32_t), status);
	if (gathered == NULL)
		return false;
	for (size_t s = 0; s < n; s++)
		gathered[s] = ((const uint32_t *) dataset->targets)[evaluation->rows[s]];
	evaluation->labels = gathered;
	evaluation->targets = (const float *) gathered;
	return true;
}

static bool
evaluate_members(HbCohort *cohort, int first, int count, HbArena *arena, Evaluation *evaluation,
				 HbStatus *status)
{
	for (int i = 0; i < count; i++)
		evaluation->loss[i] = 0, evaluation->errors[i] = 0;
	if (!score_members(cohort, first, count, evaluation, status))
		return false;
	for (int i = 0; i < count; i++)
	{
		HbMember *member = &cohort->members[first + i];

		if (member->diverged)
			continue;
		if (!member_metrics(cohort, member, evaluation, i, status) ||
			!hb_cohort_tick(cohort, status))
			return false;
	}
	return true;
}

static bool
evaluate_all(HbCohort *cohort, bool all, HbArena *arena, HbStatus *status)
{
	Evaluation evaluation = {.all = all};
	size_t outputs = cohort->members[0].training.shape.outputs;
	size_t bytes, fit;

	if (!gather_validation(cohort, arena, &evaluation, status))
		return false;
	evaluation.loss = hb_arena_alloc(arena, cohort->nmembers, sizeof(double), status);
	evaluation.errors = hb_arena_alloc(arena, cohort->nmembers, sizeof(uint64_t), status);
	if (evaluation.loss == NULL || evaluation.errors == NULL)
		return false;
	if (!all && cohort->job->metric == HB_METRIC_ERROR)
		return evaluate_members(cohort, 0, cohort->nmembers, arena, &evaluation, status);
	bytes = evaluation.n * outputs * sizeof(float) + 1;
	fit = SCORE_BYTES / bytes > 0 ? SCORE_BYTES / bytes : 1;
	if (fit > (size_t) cohort->nmembers)
		fit = (size_t) cohort->nmembers;
	evaluation.scores = hb_arena_alloc(arena, fit, sizeof(float *), status);
	if (evaluation.scores == NULL)
		return false;
	for (size_t i = 0; i < fit; i++)
		if ((evaluation.scores[i] =
				 hb_arena_alloc(arena, evaluation.n * outputs, sizeof(float), status)) == NULL)
			return false;
	for (int first = 0; first < cohort->nmembers; first += (int) fit)
	{
		int left = cohort->nmembers - first;

		if (!evaluate_members(cohort, first, left < (int) fit ? left : (int) fit, arena,
							  &evaluation, status))
			return false;
	}
	return true;
}

bool
hb_cohort_evaluate(HbCohort *cohort, bool all, HbStatus *status)
{
	HbArena arena;
	bool passed;

	for (int i = 0; i < cohort->nmembers; i++)
	{
		HbMember *member = &cohort->members[i];

		member->validation_loss = NAN;
		for (int m = 0; m < HB_METRIC_COUNT; m++)
			member->metrics.value[m] = NAN;
	}
	hb_arena_init(&arena, cohort->context->host);
	passed = evaluate_all(cohort, all, &arena, status);
	hb_arena_free(&arena);
	return passed;
}
