/*
 * evaluate.c - the validation rows, through all trials of a chunk at once
 */
#include <math.h>
#include <string.h>

#include "learn/cohort.h"

/* Scores of the members evaluated together are kept until their metrics are computed. */
#define SCORE_BYTES ((size_t) 128 << 20)

typedef struct Evaluation
{
	const uint32_t *rows;
	size_t n;
	float **scores; /* a member: [n][outputs] */
	double *loss;   /* a member: sum */
	const uint32_t *labels;
	const float *targets;
} Evaluation;

static void
member_scores(HbCohort *cohort, HbMember *member, const HbTile *tile, size_t i, size_t at,
			  hb_real *z0, Evaluation *evaluation, int slot)
{
	HbWorkspace *ws = &cohort->evaluation_workspace;
	const HbShape *shape = &member->training.shape;
	HbPass pass;
	hb_real *z = hb_forward(ws, &member->network, tile->count[i], z0, NULL, &pass);
	HbScores scores = {.outputs = shape->units[shape->layers - 1],
					   .n = tile->count[i],
					   .ld = ws->ld,
					   .z = z,
					   .labels = tile->labels + i * tile->batch,
					   .targets = tile->targets + i * tile->batch,
					   .scratch = ws->scratch};

	evaluation->loss[slot] += hb_losses[shape->loss].sum(cohort->provider, &scores);
	hb_loss_scores(cohort->provider, shape, z, scores.n, ws->ld, ws->scratch,
				   evaluation->scores[slot] + at * shape->outputs);
}

/* Members first..first+count over all rows. */
static bool
score_members(HbCohort *cohort, int first, int count, Evaluation *evaluation, HbStatus *status)
{
	HbTile *tile = &cohort->evaluation_tile;
	HbWorkspace *ws = &cohort->evaluation_workspace;

	for (size_t at = 0; at < evaluation->n; at += tile->batch)
	{
		size_t n = evaluation->n - at < tile->batch ? evaluation->n - at : tile->batch;
		HbGroup group;

		hb_tile_fill(cohort, evaluation->rows + at, n, tile);
		for (int m = first; m < first + count && hb_next_group(cohort, m, &group);
			 m = group.first + group.count)
		{
			if (group.first >= first + count)
				break;
			hb_first_layer(cohort, &group, tile, 0, ws->ld, cohort->evaluation_z0);
			for (int i = group.first; i < group.first + group.count && i < first + count; i++)
				member_scores(cohort, &cohort->members[i], tile, 0, at,
							  cohort->evaluation_z0 + (cohort->members[i].row - group.row) * ws->ld,
							  evaluation, i - first);
			if (!hb_cohort_tick(cohort, status))
				return false;
		}
	}
	return true;
}

static bool
member_metrics(HbCohort *cohort, HbMember *member, const Evaluation *evaluation, int slot,
			   HbStatus *status)
{
	const HbHost *host = cohort->context->host;
	const HbShape *shape = &member->training.shape;
	double mean = evaluation->loss[slot] / (double) evaluation->n;
	double loss;

	/* figures of a regression are in the target's own unit, here squared */
	if (cohort->task == HB_TASK_REGRESSION)
		mean *= cohort->target_scale * cohort->target_scale;
	member->validation_loss = mean;
	if (!isfinite(mean))
		return true;
	if (cohort->task == HB_TASK_REGRESSION
			? !hb_metrics_regression(evaluation->scores[slot], evaluation->targets, NULL,
									 evaluation->n, cohort->target_scale, &member->metrics, status)
			: !hb_metrics_classification(
				  host, evaluation->scores[slot], evaluation->labels, NULL, evaluation->n,
				  shape->outputs, hb_losses[shape->loss].calibrated, &member->metrics, status))
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
		evaluation->loss[i] = 0;
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
evaluate_all(HbCohort *cohort, HbArena *arena, HbStatus *status)
{
	Evaluation evaluation;
	size_t outputs = cohort->members[0].training.shape.outputs;
	size_t bytes, fit;

	if (!gather_validation(cohort, arena, &evaluation, status))
		return false;
	bytes = evaluation.n * outputs * sizeof(float) + 1;
	fit = SCORE_BYTES / bytes > 0 ? SCORE_BYTES / bytes : 1;
	if (fit > (size_t) cohort->nmembers)
		fit = (size_t) cohort->nmembers;
	evaluation.scores = hb_arena_alloc(arena, fit, sizeof(float *), status);
	evaluation.loss = hb_arena_alloc(arena, fit, sizeof(double), status);
	if (evaluation.scores == NULL || evaluation.loss == NULL)
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
hb_cohort_evaluate(HbCohort *cohort, HbStatus *status)
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
	passed = evaluate_all(cohort, &arena, status);
	hb_arena_free(&arena);
	return passed;
}
