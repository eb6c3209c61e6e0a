/*
 * evaluate.c - the metrics of a finished model on one part of the data set
 *
 * For the test rows at a study's end, and for the model now current on a new study's validation rows: its encoder and
 * its class order may differ from the data set's, so the job carries both.
 */
#include <math.h>

#include "compute/encode.h"
#include "learn/family.h"
#include "trainer/serve.h"

#define BATCH 256

typedef struct Evaluation
{
	const HbJob *job;
	const HbDataset *dataset;
	const HbEncoder *encoder;
	const HbFamily *family;
	HbModel *model;
	HbModelInfo info;
	uint32_t classes; /* of the data set; 1 for regression */
	const uint32_t *rows;
	uint64_t n;
	float *scores;    /* [n][classes] */
	uint32_t *labels; /* classification */
	float *targets;   /* regression, standardised */
} Evaluation;

/*
 * The model's scores in the data set's class order, or its prediction standardised as the data set's targets are: floats
 * of the target's own unit would be too coarse where its mean is much larger than its deviation.
 */
static void
place_scores(const Evaluation *e, const float *from, uint64_t row, size_t n)
{
	const HbDatasetHeader *header = e->dataset->header;
	double shift = e->job->target_mean - header->target_mean;
	float *to = e->scores + row;

	for (uint32_t c = 0; c < e->classes; c++, to += e->n)
	{
		const float *score = from + (e->job->class_map ? e->job->class_map[c] : c);

		for (size_t i = 0; i < n; i++, score += e->info.outputs)
			to[i] = e->info.task == HB_TASK_REGRESSION
						? (float) (((double) *score * e->job->target_scale + shift) /
								   header->target_scale)
						: *score;
	}
}

static bool
predict_rows(HbServer *server, const Evaluation *e, HbStatus *status)
{
	size_t stride = (e->encoder->inputs + 15) / 16 * 16;
	size_t input_bytes = stride * BATCH * sizeof(float);
	size_t score_bytes = (size_t) e->info.outputs * BATCH * sizeof(float);
	float *inputs = hb_alloc(&server->host, input_bytes);
	float *scores = hb_alloc(&server->host, score_bytes);
	bool enough = inputs && scores;

	for (uint64_t row = 0; enough && row < e->n; row += BATCH)
	{
		size_t n = e->n - row < BATCH ? (size_t) (e->n - row) : BATCH;

		hb_encode_rows(e->encoder, e->dataset, e->rows + row, (uint32_t) n,
					   (uint32_t) (e->n - row - n), inputs, (uint32_t) stride);
		e->family->predict(e->model, inputs, n, stride, scores);
		place_scores(e, scores, row, n);
		hb_server_tick(server);
	}
	hb_release(&server->host, inputs);
	hb_release(&server->host, scores);
	return enough || hb_fail_memory(status, input_bytes + score_bytes);
}

static bool
measure(HbServer *server, Evaluation *e, HbMetrics *metrics, HbStatus *status)
{
	const HbDatasetHeader *header = e->dataset->header;

	if (e->info.task == HB_TASK_REGRESSION)
	{
		const float *targets = e->dataset->targets;

		for (uint64_t i = 0; i < e->n; i++)
			e->targets[i] = targets[e->rows[i]];
		return hb_metrics_regression(e->scores, e->targets, NULL, e->n, header->target_scale,
									 metrics, status);
	}
	for (uint64_t i = 0; i < e->n; i++)
		e->labels[i] = ((const uint32_t *) e->dataset->targets)[e->rows[i]];
	return hb_metrics_classification(&server->host, e->scores, e->labels, NULL, e->n, e->classes,
									 e->info.calibrated, NULL, metrics, status);
}

static bool
check_shapes(const Evaluation *e, HbStatus *status)
{
	const HbDatasetHeader *header = e->dataset->header;

	if (!hb_columns_check(e->encoder->columns, e->encoder->ncolumns, e->encoder->inputs,
						  header->record_bytes, status))
		return false;
	if (e->encoder->inputs != e->info.inputs || header->task != (uint32_t) e->info.task)
		return hb_fail(status, HB_ERR_CORRUPTED, "model does not fit the data set");
	if (e->info.task == HB_TASK_REGRESSION)
		return true;
	if (e->job->class_map ? e->job->nclasses != e->classes : e->info.outputs != e->classes)
		return hb_fail(status, HB_ERR_CORRUPTED, "model has other classes than the data set");
	for (uint32_t c = 0; e->job->class_map && c < e->classes; c++)
		if (e->job->class_map[c] >= e->info.outputs)
			return hb_fail(status, HB_ERR_CORRUPTED, "model has fewer classes than the data set");
	return true;
}

static bool
evaluate_open(HbServer *server, Evaluation *e, HbJobResult *result, HbStatus *status)
{
	size_t bytes = e->n * e->classes * sizeof(float);
	bool done;

	e->scores = hb_alloc(&server->host, bytes + 1);
	e->labels = hb_alloc(&server->host, e->n * sizeof(uint32_t) + 1);
	e->targets = hb_alloc(&server->host, e->n * sizeof(float) + 1);
	result->trials = hb_alloc(&server->host, sizeof(HbTrialResult));
	if (!e->scores || !e->labels || !e->targets || !result->trials)
		done = hb_fail_memory(status, bytes);
	else
	{
		result->ntrials = 1;
		result->trials[0].outcome = HB_OUTCOME_TRAINED;
		done = check_shapes(e, status) && predict_rows(server, e, status) &&
			   measure(server, e, &result->trials[0].metrics, status);
	}
	if (done)
		result->trials[0].loss = hb_metric_loss((HbMetricId) e->job->metric,
												result->trials[0].metrics.value[e->job->metric]);
	hb_release(&server->host, e->scores);
	hb_release(&server->host, e->labels);
	hb_release(&server->host, e->targets);
	return done;
}

bool
hb_evaluate(HbServer *server, const HbJob *job, HbJobResult *result, HbStatus *status)
{
	const HbDatasetHeader *header = server->dataset->header;
	HbEncoder own = {header->columns, header->inputs, server->dataset->columns, NULL};
	Evaluation e = {.job = job, .dataset = server->dataset};
	bool done;

	e.encoder = job->encoder.ncolumns > 0 ? &job->encoder : &own;
	e.classes = header->task == HB_TASK_REGRESSION ? 1 : header->outputs;
	e.family = hb_family_find(job->family);
	e.rows = hb_dataset_part(server->dataset, (HbPart) job->part, &e.n);
	e.model = e.family->open(&server->host, job->model, job->model_bytes, status);
	if (!e.model)
		return false;
	hb_model_info(e.model, &e.info);
	done = evaluate_open(server, &e, result, status);
	e.family->close(e.model);
	return done;
}
