/*
 * metrics.c - error, log loss, area under the ROC curve, RMSE, MAE, R squared
 *
 * The area is the Mann-Whitney statistic P(s+ > s-) + P(s+ = s-)/2 from one sort; scores are sorted by radix on
 * their order-preserving bits because this runs for every trial at every rung and every class.  Without weights the
 * scores of the class and of the rest are sorted apart, which needs no row numbers.  Sums are in double, in
 * row order.
 */
#include "core/metrics.h"

#include <math.h>
#include <string.h>

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

/* Bits of a float that sort as unsigned numbers do; -0 sorts as 0. */
static inline uint32_t
sortable(float value)
{
	uint32_t bits;

	value += 0.0f;
	memcpy(&bits, &value, sizeof(bits));
	return bits ^ ((uint32_t) ((int32_t) bits >> 31) | 0x80000000u);
}

#define RADIX_BITS 11
#define RADIX_SIZE (1 << RADIX_BITS)
#define RADIX_PASSES 3

/* Sorts by the upper 32 bits of each item; the result is in the array returned. */
static uint64_t *
radix_sort(uint64_t *items, uint64_t *spare, size_t n)
{
	for (int pass = 0; pass < RADIX_PASSES; pass++)
	{
		int shift = 32 + pass * RADIX_BITS;
		size_t start[RADIX_SIZE] = {0};
		size_t total = 0;
		uint64_t *swap = items;

		for (size_t i = 0; i < n; i++)
			start[(items[i] >> shift) & (RADIX_SIZE - 1)]++;
		for (int digit = 0; digit < RADIX_SIZE; digit++)
		{
			size_t count = start[digit];

			start[digit] = total;
			total += count;
		}
		for (size_t i = 0; i < n; i++)
			spare[start[(items[i] >> shift) & (RADIX_SIZE - 1)]++] = items[i];
		items = spare;
		spare = swap;
	}
	return items;
}

/* Weighted area of items sorted by score (upper half), row number in the lower half; NaN with one class. */
static double
area(const uint64_t *items, size_t n, const uint32_t *labels, uint32_t positive,
	 const float *weight)
{
	double below = 0; /* weight of negatives with a lower score */
	double positives = 0;
	double wins = 0;

	for (size_t i = 0; i < n;)
	{
		uint32_t score = (uint32_t) (items[i] >> 32);
		double tied_positive = 0;
		double tied_negative = 0;

		for (; i < n && (uint32_t) (items[i] >> 32) == score; i++)
		{
			uint32_t row = (uint32_t) items[i];

			if (labels[row] == positive)
				tied_positive += row_weight(weight, row);
			else
				tied_negative += row_weight(weight, row);
		}
		wins += tied_positive * (below + 0.5 * tied_negative);
		positives += tied_positive;
		below += tied_negative;
	}
	return positives > 0 && below > 0 ? wins / (positives * below) : NAN;
}

/* What the rows are sorted by for class k: its probability, of two raw scores their difference. */
static inline float
class_score(const float *scores, size_t n, size_t i, uint32_t k, bool difference)
{
	return difference ? scores[n + i] - scores[i] : scores[k * n + i];
}

#define FEW_KEYS 64 /* up to here insertion is faster */

static void
insert_keys(uint32_t *keys, size_t n)
{
	for (size_t i = 1; i < n; i++)
	{
		uint32_t key = keys[i];
		size_t j = i;

		for (; j > 0 && keys[j - 1] > key; j--)
			keys[j] = keys[j - 1];
		keys[j] = key;
	}
}

/* As radix_sort, of plain keys; a digit that all keys share costs no pass. */
static uint32_t *
sort_keys(uint32_t *keys, uint32_t *spare, size_t n)
{
	uint32_t start[RADIX_PASSES][RADIX_SIZE];

	if (n <= FEW_KEYS)
	{
		insert_keys(keys, n);
		return keys;
	}
	memset(start, 0, sizeof(start));
	for (size_t i = 0; i < n; i++)
		for (int pass = 0; pass < RADIX_PASSES; pass++)
			start[pass][(keys[i] >> (pass * RADIX_BITS)) & (RADIX_SIZE - 1)]++;
	for (int pass = 0; pass < RADIX_PASSES; pass++)
	{
		int shift = pass * RADIX_BITS;
		uint32_t *swap = keys, total = 0;

		if (start[pass][(keys[0] >> shift) & (RADIX_SIZE - 1)] == n)
			continue;
		for (int digit = 0; digit < RADIX_SIZE; digit++)
		{
			uint32_t count = start[pass][digit];

			start[pass][digit] = total;
			total += count;
		}
		for (size_t i = 0; i < n; i++)
			spare[start[pass][(keys[i] >> shift) & (RADIX_SIZE - 1)]++] = keys[i];
		keys = spare;
		spare = swap;
	}
	return keys;
}

/* Area of sorted scores of the class and of the rest; NaN where there are none of either. */
static double
area_of_sorted(const uint32_t *positive, size_t npositive, const uint32_t *negative,
			   size_t nnegative)
{
	size_t below = 0, upto = 0;
	double wins = 0;

	for (size_t i = 0; i < npositive; i++)
	{
		while (below < nnegative && negative[below] < positive[i])
			below++;
		if (upto < below)
			upto = below;
		while (upto < nnegative && negative[upto] == positive[i])
			upto++;
		wins += 0.5 * (double) (below + upto);
	}
	return npositive > 0 && nnegative > 0 ? wins / ((double) npositive * (double) nnegative) : NAN;
}

/* Keys of all rows; a loop of its own, which the compiler makes vectors of. */
static void
class_keys(const float *restrict scores, size_t n, uint32_t k, bool difference,
		   uint32_t *restrict keys)
{
	for (size_t i = 0; difference && i < n; i++)
		keys[i] = sortable(class_score(scores, n, i, k, true));
	for (size_t i = 0; !difference && i < n; i++)
		keys[i] = sortable(class_score(scores, n, i, k, false));
}

/* work: 4 n keys */
static double
class_area(const float *scores, const uint32_t *labels, size_t n, uint32_t k, bool difference,
		   uint32_t *work)
{
	uint32_t *positive = work, *negative = work + n, *keys = work + 2 * n;
	size_t npositive = 0;

	class_keys(scores, n, k, difference, keys);
	for (size_t i = 0; i < n; i++)
	{
		positive[npositive] = keys[i];
		negative[i - npositive] = keys[i];
		npositive += labels[i] == k;
	}
	return area_of_sorted(sort_keys(positive, work + 2 * n, npositive), npositive,
						  sort_keys(negative, work + 3 * n, n - npositive), n - npositive);
}

static double
weighted_class_area(const float *scores, const uint32_t *labels, const float *weight, size_t n,
					uint32_t k, bool difference, uint64_t *items)
{
	for (size_t i = 0; i < n; i++)
		items[i] =
			(uint64_t) sortable(class_score(scores, n, i, k, difference)) << 32 | (uint32_t) i;
	return area(radix_sort(items, items + n, n), n, labels, k, weight);
}

/* Two classes: by the second's probability or the difference of scores; more: mean over the classes present. */
static bool
auc(const HbHost *host, const float *scores, const uint32_t *labels, const float *weight, size_t n,
	uint32_t outputs, bool calibrated, double *result, HbStatus *status)
{
	void *work = hb_alloc(host, 2 * n * sizeof(uint64_t) + sizeof(uint32_t));
	bool difference = outputs == 2 && !calibrated;
	double sum = 0;
	int classes = 0;

	if (!work)
		return hb_fail_memory(status, 2 * n * sizeof(uint64_t));
	for (uint32_t k = outputs == 2 ? 1 : 0; k < outputs; k++)
	{
		double value = weight ? weighted_class_area(scores, labels, weight, n, k, difference, work)
							  : class_area(scores, labels, n, k, difference, work);

		if (!isnan(value))
		{
			sum += value;
			classes++;
		}
	}
	hb_release(host, work);
	*result = classes > 0 ? sum / classes : NAN;
	return true;
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
		   auc(host, scores, labels, weight, n, outputs, calibrated, &out->value[HB_METRIC_AUC],
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
