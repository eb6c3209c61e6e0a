/*
 * metrics.h - the metrics of SQL, one registry
 *
 * error, log_loss, auc (Mann-Whitney with ties; more classes: macro one-versus-rest), rmse, mae,
 * r2.  All metrics of a task are computed at each rung; the study's own one, negated where higher
 * is better, is its loss.  Sums are in double.  NaN stands for SQL NULL (auc with one class, r2 of
 * a constant target, log_loss of hinge).
 */
#ifndef HB_METRICS_H
#define HB_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/dataset.h"
#include "core/host.h"
#include "core/status.h"

typedef enum HbMetricId
{
	HB_METRIC_ERROR,
	HB_METRIC_LOG_LOSS,
	HB_METRIC_AUC,
	HB_METRIC_RMSE,
	HB_METRIC_MAE,
	HB_METRIC_R2,
	HB_METRIC_COUNT
} HbMetricId;

typedef struct HbMetric
{
	const char *name;
	HbTask task;
	bool higher_is_better;
	const char *description;
} HbMetric;

extern const HbMetric hb_metrics[HB_METRIC_COUNT];

/* By name; -1 where there is none. */
extern int hb_metric_find(const char *name);

/* The task's default: error or rmse. */
extern HbMetricId hb_metric_default(HbTask task);

/* What is minimised. */
extern double hb_metric_loss(HbMetricId metric, double value);

/* The values of one evaluation; those of the other task stay NaN. */
typedef struct HbMetrics
{
	double value[HB_METRIC_COUNT];
} HbMetrics;

/*
 * scores: [outputs][n], class by class.  Classification: probabilities, or with calibrated = false raw scores
 * (hinge: one score where outputs = 2 still comes as two, -s/2 and s/2), labels 0..outputs-1.
 * weight: NULL or n row weights.  wrong: NULL, or the weight of the rows classified wrongly, where that has been
 * counted and no score is NaN.
 */
extern bool
hb_metrics_classification(const HbHost *host, const float *scores, const uint32_t *labels,
						  const float *weight, size_t n, uint32_t outputs, bool calibrated,
						  const double *wrong, HbMetrics *out, HbStatus *status);

/* The same without the area, which takes a sort: what a point of a loss curve needs. */
extern bool hb_metrics_rates(const float *scores, const uint32_t *labels, const float *weight,
							 size_t n, uint32_t outputs, bool calibrated, const double *wrong,
							 HbMetrics *out, HbStatus *status);

/* prediction and target in any unit; scale turns them into the target's own unit. */
extern bool hb_metrics_regression(const float *prediction, const float *target, const float *weight,
								  size_t n, double scale, HbMetrics *out, HbStatus *status);

#endif /* HB_METRICS_H */
