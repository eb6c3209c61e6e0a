/*
 * metrics.c - error, log loss, RMSE, MAE, R squared; the area under the ROC curve is in auc.c
 *
 * Sums are in double, in row order.
 */
#include "core/metrics.h"

#include <math.h>
#include <string.h>

#include "core/auc.h"

const HbMetric hb_metrics[HB_METRIC_COUNT] = {
	[HB_METRIC_ERROR] = {"error", HB_TASK_CLASSIFICATION, false,
						 "share of rows classified wrongly"},
	[HB_METRIC_LOG_LOSS] = {"log_loss", HB_TASK_CLASSIFICATION, false,
							"mean negative log probability of the true class, in nats"},
	[HB_METRIC_AUC] = {"auc", HB_TASK_CLASSIFICATION, true,
					   "area under the ROC curve; more than two classes: mean of one versus rest"},
	[HB_METRIC_RMSE] = {"rmse", HB_TASK_REGRESSION, false,
						"root mean squared error, in the target's unit"},
	[HB_METRIC_MAE] = {"mae", HB_TASK_REGRESSION, false,
					   "mean absolute error, in the target's unit"},
	[HB_METRIC_R2] = {"r2", HB_TASK_REGRESSION, true, "share of the target's variance explained"},
};

int
hb_metric_find(const char *name)
{
	for (int i = 0; i < HB_METRIC_COUNT; i++)
		if (strcmp(hb_metrics[i].name, name) == 0)
			return i;
	return -1;
}

HbMetricId
hb_metric_default(HbTask task)
{
	return task == HB_TASK_CLASSIFICATION ? HB_METRIC_ERROR : HB_METRIC_RMSE;
}

double
hb_metric_loss(HbMetricId metric, double value)
{
	return hb_metrics[metric].higher_is_better ? 0.0 - value : value;
}

static void
clear(HbMetrics *metrics)
{
	for (int i = 0; i < HB_METRIC_COUNT; i++)
		metrics->value[i] = NAN;
}

static inline double
row_weight(const float *weight, size_t i)
{
	return weight ? (double) weight[i] : 1.0;
}

/* One logarithm for the product of so many likelihoods, none below 1e-15: far from the smallest double. */
#define LOG_ROWS 16

static inline double
likelihood(float probability)
{
	double p = (double) probability;

	p = p > 1e-15 ? p : 1e-15;
	return p < 1.0 ? p : 1.0;
}

#define BLOCK_ROWS 256 /* rows whose largest scores stay in the first-level cache */

/* Sum of the weights of rows at..at+count whose largest score, the first of equals, is not their label's. */
static double
block_errors(const float *scores, const uint32_t *labels, const float *weight, size_t n,
			 uint32_t outputs, size_t at, size_t count, bool *undefined)
{
	float highest[BLOCK_ROWS];
	uint32_t best[BLOCK_ROWS] = {0}, nans = 0;
	double wrong = 0;

	memcpy(highest, scores + at, count * sizeof(float));
	for (uint32_t k = 0; k < outputs; k++)
	{
		const float *score = scores + k * n + at;

		for (size_t i = 0; i < count; i++)
		{
			bool higher = score[i] > highest[i];

			nans |= isnan(score[i]);
			best[i] = higher ? k : best[i];
			highest[i] = higher ? score[i] : highest[i];
		}
	}
	*undefined |= nans != 0;
	for (size_t i = 0; i < count; i++)
		if (best[i] != labels[at + i])
			wrong += row_weight(weight, at + i);
	return wrong;
}

/* Weighted sum of -log p of the true classes. */
static double
log_loss_sum(const float *scores, const uint32_t *labels, const float *weight, size_t n)
{
	double sum = 0, product = 1;

	for (size_t i = 0; i < n; i++)
	{
		double p = likelihood(scores[labels[i] * n + i]);

		if (weight)
			sum -= row_weight(weight, i) * log(p);
		else
			product *= p;
		if (i % LOG_ROWS == LOG_ROWS - 1 || i + 1 == n)
		{
			sum -= log(product);
			product = 1;
		}
	}
	return sum;
}

bool
hb_metrics_rates(const float *scores, const uint32_t *labels, const float *weight, size_t n,
				 uint32_t outputs, bool calibrated, const double *wrong, HbMetrics *out,
				 HbStatus *status)
{
	double total = 0;
	double counted = 0;
	bool undefined = false;

	clear(out);
	if (n > UINT32_MAX || outputs < 1)
		return hb_fail(status, HB_ERR_INTERNAL, "too many rows or no classes to evaluate");
	for (size_t i = 0; i < n; i++)
	{
		if (labels[i] >= outputs)
			return hb_fail(status, HB_ERR_INTERNAL, "class %u of row is out of range", labels[i]);
		total += row_weight(weight, i);
	}
	for (size_t at = 0; !wrong && at < n; at += BLOCK_ROWS)
		counted += block_errors(scores, labels, weight, n, outputs, at,
								n - at < BLOCK_ROWS ? n - at : BLOCK_ROWS, &undefined);
	/* A model that answers NaN must not look better than one that answers wrongly. */
	if (undefined || !(total > 0))
		return true;
	out->value[HB_METRIC_ERROR] = (wrong ? *wrong : counted) / total;
	if (calibrated)
		out->value[HB_METRIC_LOG_LOSS] = log_loss_sum(scores, labels, weight, n) / total;
	return true;
}

bool
hb_metrics_classification(const HbHost *host, const float *scores, const uint32_t *labels,
						  const float *weight, size_t n, uint32_t outputs, bool calibrated,
						  const double *wrong, HbMetrics *out, HbStatus *status)
{
	if (!hb_metrics_rates(scores, labels, weight, n, outputs, calibrated, wrong, out, status))
		return false;
	return isnan(out->value[HB_METRIC_ERROR]) ||
		   hb_auc(host, scores, labels, weight, n, outputs, calibrated, &out->value[HB_METRIC_AUC],
				  status);
}

bool
hb_metrics_regression(const float *prediction, const float *target, const float *weight, size_t n,
					  double scale, HbMetrics *out, HbStatus *status)
{
	double total = 0;
	double mean = 0;
	double squared = 0;
	double absolute = 0;
	double spread = 0;
	bool constant = true;

	clear(out);
	for (size_t i = 0; i < n; i++)
	{
		double w = row_weight(weight, i);
		double e = (double) prediction[i] - (double) target[i];

		total += w;
		mean += w * (double) target[i];
		squared += w * e * e;
		absolute += w * fabs(e);
		constant &= target[i] == target[0];
	}
	if (!(total > 0))
		return true;
	mean /= total;
	for (size_t i = 0; i < n; i++)
	{
		double d = (double) target[i] - mean;

		spread += row_weight(weight, i) * d * d;
	}
	out->value[HB_METRIC_RMSE] = sqrt(squared / total) * scale;
	out->value[HB_METRIC_MAE] = absolute / total * scale;
	/* rounding leaves a spread of a constant target just above zero */
	if (!constant && spread > 0)
		out->value[HB_METRIC_R2] = 1.0 - squared / spread;
	return true;
}
