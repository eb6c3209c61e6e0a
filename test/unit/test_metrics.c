/*
 * test_metrics.c - metrics against their definitions
 */
#include "tap.h"

#include "core/metrics.h"
#include "core/rng.h"

static const HbHost *host = &hb_host_malloc;

/* P(s+ > s-) + P(=)/2 by all pairs; scores: of one class. */
static double
auc_by_pairs(const float *scores, const uint32_t *labels, uint32_t positive, const float *weight,
			 int n)
{
	double wins = 0;
	double pairs = 0;

	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++)
			if (labels[i] == positive && labels[j] != positive)
			{
				double w = weight ? (double) weight[i] * weight[j] : 1;
				float a = scores[i];
				float b = scores[j];

				pairs += w;
				wins += w * (a > b ? 1 : a == b ? 0.5 : 0);
			}
	return pairs > 0 ? wins / pairs : NAN;
}

static void
test_registry(void)
{
	is_int(hb_metric_find("auc"), HB_METRIC_AUC, "a metric by name");
	is_int(hb_metric_find("f1"), -1, "no such metric");
	is_int(hb_metric_default(HB_TASK_CLASSIFICATION), HB_METRIC_ERROR, "default of classification");
	is_int(hb_metric_default(HB_TASK_REGRESSION), HB_METRIC_RMSE, "default of regression");
	ok(hb_metric_loss(HB_METRIC_AUC, 0.75) == -0.75, "higher is better: negated");
	ok(hb_metric_loss(HB_METRIC_RMSE, 0.75) == 0.75, "lower is better: as it is");
	ok(isnan(hb_metric_loss(HB_METRIC_R2, NAN)), "NULL stays NULL");
}

static void
test_two_classes(void)
{
	static const float p[] = {0.9f, 0.5f, 0.2f, 0.7f, 1.0f, 0.1f, 0.5f, 0.8f, 0.3f, 0.0f};
	static const uint32_t y[] = {0, 0, 1, 1, 1};
	static const float w[] = {1, 2, 1, 1, 4};
	static const uint32_t same[] = {1, 1, 1, 1, 1};
	static const float raw[] = {0.5f, -2, 3, 1, -1, -0.5f, 2, -3, -1, 1};
	HbMetrics m;
	HbStatus status;

	ok(hb_metrics_classification(host, p, y, NULL, 5, 2, true, NULL, &m, &status), "two classes");
	is_near(m.value[HB_METRIC_ERROR], 2.0 / 5, 1e-15, "error: a tie goes to the lower class");
	is_near(m.value[HB_METRIC_LOG_LOSS],
			-(log(0.9f) + log(0.5) + log(0.8f) + log(0.3f) + log(1e-15)) / 5, 1e-7,
			"log loss, with probabilities no smaller than 1e-15");
	is_near(m.value[HB_METRIC_AUC], auc_by_pairs(p + 5, y, 1, NULL, 5), 1e-15, "area by pairs");
	ok(isnan(m.value[HB_METRIC_RMSE]) && isnan(m.value[HB_METRIC_R2]),
	   "metrics of the other task stay NULL");
	hb_metrics_classification(host, p, y, w, 5, 2, true, NULL, &m, &status);
	is_near(m.value[HB_METRIC_ERROR], 5.0 / 9, 1e-15, "weighted error");
	is_near(m.value[HB_METRIC_AUC], auc_by_pairs(p + 5, y, 1, w, 5), 1e-15, "weighted area");
	hb_metrics_classification(host, p, same, NULL, 5, 2, true, NULL, &m, &status);
	ok(isnan(m.value[HB_METRIC_AUC]), "area with one class is NULL");
	hb_metrics_classification(host, raw, y, NULL, 5, 2, false, NULL, &m, &status);
	ok(isnan(m.value[HB_METRIC_LOG_LOSS]), "log loss of raw scores is NULL");
	is_near(m.value[HB_METRIC_AUC], auc_by_pairs(raw + 5, y, 1, NULL, 5), 1e-15,
			"area of raw scores");
	is_near(m.value[HB_METRIC_ERROR], 3.0 / 5, 1e-15, "error of raw scores");
	hb_metrics_classification(host, p, y, NULL, 0, 2, true, NULL, &m, &status);
	ok(isnan(m.value[HB_METRIC_ERROR]), "no rows: NULL");
}

static void
test_undefined(void)
{
	float p[] = {0.5f, 0.5f, NAN, 0.5f};
	static const uint32_t y[] = {0, 1};
	static const uint32_t outside[] = {0, 2};
	HbMetrics m;
	HbStatus status;

	hb_metrics_classification(host, p, y, NULL, 2, 2, true, NULL, &m, &status);
	ok(isnan(m.value[HB_METRIC_ERROR]) && isnan(m.value[HB_METRIC_LOG_LOSS]) &&
		   isnan(m.value[HB_METRIC_AUC]),
	   "a score that is no number makes every metric NULL");
	p[2] = 0.5f;
	ok(!hb_metrics_classification(host, p, outside, NULL, 2, 2, true, NULL, &m, &status),
	   "a class out of range is an error");
}

static void
test_many(int n, uint32_t classes, int levels)
{
	float *scores = malloc(n * classes * sizeof(float));
	uint32_t *labels = malloc(n * sizeof(uint32_t));
	HbMetrics m;
	HbStatus status;
	double sum = 0;
	int used = 0;

	for (int i = 0; i < n; i++)
	{
		/* class 0 does not occur where there are more than two */
		labels[i] = (uint32_t) (hb_random_uniform(1, HB_STREAM_SAMPLE, n, i) * classes);
		if (classes > 2 && labels[i] == 0)
			labels[i] = 1;
		for (uint32_t k = 0; k < classes; k++)
			scores[k * n + i] =
				(float) floor((hb_random_uniform(2, HB_STREAM_SAMPLE, i, k) - 0.5) * levels) /
					levels +
				(labels[i] == k ? 0.25f : 0);
	}
	for (uint32_t k = classes == 2; k < classes; k++)
	{
		double area = auc_by_pairs(scores + k * n, labels, k, NULL, n);

		if (!isnan(area))
		{
			sum += area;
			used++;
		}
	}
	hb_metrics_classification(host, scores, labels, NULL, n, classes, true, NULL, &m, &status);
	is_near(m.value[HB_METRIC_AUC], sum / used, 1e-12,
			"area of %d rows, %u classes and %d levels of score equals the one by pairs", n,
			classes, levels);
	free(scores);
	free(labels);
}

/* The area of class 1 among rows of which a share of rare are of it, with scores of a form each. */
static void
test_form(int n, double rare, int form)
{
	float *scores = malloc(2 * n * sizeof(float));
	uint32_t *labels = malloc(n * sizeof(uint32_t));
	HbMetrics m;
	HbStatus status;

	for (int i = 0; i < n; i++)
	{
		double u = hb_random_uniform(3, HB_STREAM_SAMPLE, n, i), p = u;

		labels[i] = hb_random_uniform(4, HB_STREAM_SAMPLE, n, i) < rare;
		if (labels[i] == 1)
			p = sqrt(u);
		if (form == 1) /* all but a few in one bucket of their range */
			p = i < 9 ? pow(10, -4 * i) : 0.5 + 1e-4 * p;
		if (form == 2) /* saturated */
			p = u < 0.4 ? 0 : u < 0.9 ? 1 : p;
		scores[i] = (float) (1 - p);
		scores[n + i] = (float) p;
	}
	hb_metrics_classification(host, scores, labels, NULL, n, 2, true, NULL, &m, &status);
	is_near(m.value[HB_METRIC_AUC], auc_by_pairs(scores + n, labels, 1, NULL, n), 1e-12,
			"area of %d rows, %g of class 1, scores of form %d equals the one by pairs", n, rare,
			form);
	free(scores);
	free(labels);
}

static void
test_forms(void)
{
	static const double rare[] = {0.003, 0.1, 0.5, 0.9};

	for (int form = 0; form < 3; form++)
		for (int r = 0; r < 4; r++)
			test_form(4000, rare[r], form);
	test_form(30000, 0.2, 0);
	test_form(30000, 0.2, 1);
}

static void
test_regression(void)
{
	static const float prediction[] = {1, 2, 3, 5};
	static const float target[] = {1, 1, 5, 5};
	static const float weight[] = {1, 3, 1, 0};
	float constant[1000];
	HbMetrics m;
	HbStatus status;

	ok(hb_metrics_regression(prediction, target, NULL, 4, 10, &m, &status), "regression");
	is_near(m.value[HB_METRIC_RMSE], sqrt(5.0 / 4) * 10, 1e-12, "rmse in the target's unit");
	is_near(m.value[HB_METRIC_MAE], 3.0 / 4 * 10, 1e-12, "mae in the target's unit");
	is_near(m.value[HB_METRIC_R2], 1 - 5.0 / 16, 1e-12, "r2");
	hb_metrics_regression(prediction, target, weight, 4, 1, &m, &status);
	is_near(m.value[HB_METRIC_RMSE], sqrt(7.0 / 5), 1e-12, "weighted rmse");
	is_near(m.value[HB_METRIC_MAE], 5.0 / 5, 1e-12, "weighted mae");
	is_near(m.value[HB_METRIC_R2], 1 - 7.0 / (4 * 0.64 + 3.2 * 3.2), 1e-12, "weighted r2");
	for (int i = 0; i < 1000; i++)
		constant[i] = 0.1f;
	hb_metrics_regression(constant, constant, NULL, 1000, 1, &m, &status);
	ok(isnan(m.value[HB_METRIC_R2]), "r2 of a constant target is NULL");
	is_near(m.value[HB_METRIC_RMSE], 0, 0, "and its rmse is what it is");
	constant[7] = NAN;
	hb_metrics_regression(constant, target, NULL, 4, 1, &m, &status);
	is_near(m.value[HB_METRIC_MAE], 2.9, 1e-6, "rows that are not asked for do not count");
	hb_metrics_regression(constant + 5, target, NULL, 4, 1, &m, &status);
	ok(isnan(m.value[HB_METRIC_RMSE]) && isnan(m.value[HB_METRIC_MAE]) &&
		   isnan(m.value[HB_METRIC_R2]),
	   "a prediction that is no number makes them NULL");
}

int
main(void)
{
	test_registry();
	test_two_classes();
	test_undefined();
	test_many(500, 2, 10);
	test_many(500, 2, 1000000);
	test_many(300, 7, 20);
	test_many(2, 2, 1);
	test_forms();
	test_regression();
	return tap_done();
}
