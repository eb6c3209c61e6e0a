/*
 * test_learn.c - cohorts: reproducible, independent of their neighbours, resumable; divergence; prediction;
 * configurations and default spaces
 */
#include "core/host.h"
#include "tap.h"
#include "synthetic.h"
#include "compute/encode.h"
#include "learn/cohort.h"

#define TRIALS 9

static int curve_points;
static double curve_metric[32][10]; /* by trial and resource */
static HbMetricId class_metric = HB_METRIC_ERROR;

static bool
count_curve(void *context, const HbCurvePoint *point)
{
	curve_points++;
	if (point->trial < 32 && point->resource < 10)
		curve_metric[point->trial][point->resource] = point->metric_value;
	return true;
}

static int ticks;

static bool
tick(void *context)
{
	ticks++;
	return true;
}

/* Trials that differ in everything but the batch size; with large batches one network is wider than most groups. */
static void
varied_trials_of(const HbFamily *family, const HbDataset *dataset, double batch, HbJobTrial *trials)
{
	for (int i = 0; i < TRIALS; i++)
	{
		trials[i] = (HbJobTrial){.number = (uint64_t) (10 + i)};
		if (strcmp(family->name, "mlp") == 0)
			set_params(family, dataset, trials[i].params, "optimizer", (double) (i % 5),
					   "learning_rate", 0.002 * (1 + i), "schedule", (double) ((i / 2) % 5), "l2",
					   1e-4 * i, "layers", (double) (1 + i % 3), "units",
					   i == 4 && batch > 128 ? 300.0 : 5.0 + 7 * i, "activation", (double) (i % 4),
					   "dropout", i % 2 ? 0.25 : 0.0, "batch_size", batch, NULL);
		else
			set_params(family, dataset, trials[i].params, "optimizer", (double) (i % 5),
					   "learning_rate", 0.002 * (1 + i), "schedule", (double) ((i / 2) % 5), "l2",
					   1e-4 * i, "batch_size", batch, NULL);
	}
}

static void
varied_trials(const HbFamily *family, const HbDataset *dataset, HbJobTrial *trials)
{
	varied_trials_of(family, dataset, 48, trials);
}

static HbJobResult
train(const HbFamily *family, const HbProvider *provider, const HbDataset *dataset,
	  HbJobTrial *trials, int ntrials, uint32_t from, uint32_t to)
{
	HbTrainContext context = {.host = &hb_host_malloc,
							  .provider = provider,
							  .dataset = dataset,
							  .curve = count_curve,
							  .tick = tick};
	HbJob job = {.id = 7,
				 .kind = HB_JOB_TRAIN,
				 .metric =
					 dataset->header->task == HB_TASK_REGRESSION ? HB_METRIC_RMSE : class_metric,
				 .seed = 42,
				 .from_resource = from,
				 .to_resource = to,
				 .max_resource = 9,
				 .want_state = 1,
				 .ntrials = (uint32_t) ntrials,
				 .trials = trials};
	HbJobResult result = {0};
	HbStatus status;

	hb_status_init(&status);
	if (!family->train(family, &context, &job, &result, &status))
	{
		printf("Bail out! training failed: %s %s\n", status.message, status.detail);
		exit(1);
	}
	return result;
}

static void
free_result(HbJobResult *result)
{
	for (uint32_t i = 0; i < result->ntrials; i++)
		hb_release(&hb_host_malloc, (void *) result->trials[i].state);
	hb_release(&hb_host_malloc, result->trials);
}

static bool
same_trial(const HbTrialResult *a, const HbTrialResult *b)
{
	return a->number == b->number && a->outcome == b->outcome &&
		   memcmp(&a->loss, &b->loss, 8) == 0 &&
		   memcmp(&a->validation_loss, &b->validation_loss, 8) == 0 &&
		   a->state_bytes == b->state_bytes &&
		   (a->state_bytes == 0 || memcmp(a->state, b->state, a->state_bytes) == 0);
}

static int
same_results(const HbJobResult *a, const HbJobResult *b)
{
	int same = 0;

	for (uint32_t i = 0; i < a->ntrials && i < b->ntrials; i++)
		same += same_trial(&a->trials[i], &b->trials[i]);
	return same;
}

/* How so many trials' mini-batches are laid out. */
typedef enum Layout
{
	SPARSE,
	PLAIN, /* for the gradient, as they are encoded */
	PACKED
} Layout;

static Layout
layout(const HbFamily *family, const HbProvider *provider, const HbDataset *dataset,
	   HbJobTrial *trials, uint32_t ntrials)
{
	HbTrainContext context = {.host = &hb_host_malloc, .provider = provider, .dataset = dataset};
	HbJob job = {
		.metric = HB_METRIC_ERROR, .max_resource = 1, .ntrials = ntrials, .trials = trials};
	HbCohort cohort;
	HbStatus status;
	Layout found;

	hb_status_init(&status);
	if (dataset->header->task == HB_TASK_REGRESSION)
		job.metric = HB_METRIC_RMSE;
	if (!hb_cohort_open(family, &context, &job, &cohort, &status))
	{
		printf("Bail out! %s: %s\n", status.message, status.detail);
		exit(1);
	}
	found = cohort.row_values > 0 ? SPARSE : cohort.tile.plain ? PLAIN : PACKED;
	hb_arena_free(&cohort.arena);
	return found;
}

/* Which of the two dense layouts a chunk has must not show: check_reproducible() compares trainings with both. */
static void
check_layouts(const HbProvider *provider)
{
	const HbFamily *family = hb_family_find("mlp");
	HbDataset dataset = synthetic_dataset(1003, 37, 3, 1);
	HbJobTrial trials[TRIALS];

	varied_trials(family, &dataset, trials);
	is_int(layout(family, provider, &dataset, trials, TRIALS), PACKED,
		   "%s: mini-batches of many units are packed", provider->name);
	is_int(layout(family, provider, &dataset, trials, 1), PLAIN,
		   "%s: those of few are left as they are", provider->name);
	synthetic_free(&dataset);
}

static void
check_reproducible(const HbFamily *family, const HbProvider *provider, HbDataset dataset,
				   const char *what)
{
	uint32_t classes = dataset.header->outputs;
	HbJobTrial trials[TRIALS], rest[TRIALS];
	HbJobResult straight, again, part, continued;
	int alone = 0;

	varied_trials(family, &dataset, trials);
	straight = train(family, provider, &dataset, trials, TRIALS, 0, 4);
	again = train(family, provider, &dataset, trials, TRIALS, 0, 4);
	is_int(same_results(&straight, &again), TRIALS,
		   "%s, %s, %u outputs, %s: two runs are identical", provider->name, family->name, classes,
		   what);
	part = train(family, provider, &dataset, trials, TRIALS, 0, 1);
	memcpy(rest, trials, sizeof rest);
	for (int i = 0; i < TRIALS; i++)
	{
		rest[i].state = part.trials[i].state;
		rest[i].state_bytes = part.trials[i].state_bytes;
	}
	continued = train(family, provider, &dataset, rest, TRIALS, 1, 4);
	is_int(same_results(&straight, &continued), TRIALS,
		   "%s, %s, %u outputs, %s: going on from a checkpoint equals training straight through",
		   provider->name, family->name, classes, what);
	for (int i = 0; i < TRIALS; i++)
	{
		HbJobResult one = train(family, provider, &dataset, &trials[i], 1, 0, 4);

		alone += same_trial(&one.trials[0], &straight.trials[i]);
		free_result(&one);
	}
	is_int(alone, TRIALS, "%s, %s, %u outputs, %s: a trial's bits do not depend on its chunk",
		   provider->name, family->name, classes, what);
	free_result(&straight);
	free_result(&again);
	free_result(&part);
	free_result(&continued);
	synthetic_free(&dataset);
}

/* How far losses of an epoch may come apart where products are another's. */
static double
rounding(const HbProvider *provider)
{
	return provider->precision == HB_MEDIUM ? 0.02 : 1e-4;
}

static int
near_results(const HbJobResult *a, const HbJobResult *b, double tolerance)
{
	int near = 0;

	for (uint32_t i = 0; i < a->ntrials; i++)
		near +=
			a->trials[i].outcome == b->trials[i].outcome &&
			!(fabs(a->trials[i].validation_loss / b->trials[i].validation_loss - 1) > tolerance);
	return near;
}

/*
 * A table of categories, of which zeros are not multiplied, trains as one that is expanded: to the bit where terms are
 * added one by one.  The first trial diverges where its rate says so.
 */
static void
check_sparse(const HbFamily *family, const HbProvider *provider, uint32_t classes, double batch,
			 double rate)
{
	HbDataset dataset = synthetic_categories(1003, 5, 20, classes, 8);
	bool narrow = provider->narrow && strcmp(family->name, "linear") == 0 && classes <= 2;
	HbJobTrial trials[TRIALS];
	HbJobResult zeros, expanded;
	uint32_t epochs = provider->precision > HB_HIGHEST
						  ? 1
						  : 3; /* rounded in other places, trainings drift apart */

	varied_trials_of(family, &dataset, batch, trials);
	trials[0].params[hb_family_param_index(family, "learning_rate")] = rate;
	zeros = train(family, provider, &dataset, trials, TRIALS, 0, epochs);
	expanded = train(family, dense_only(provider), &dataset, trials, TRIALS, 0, epochs);
	ok(layout(family, provider, &dataset, trials, TRIALS) == SPARSE &&
		   layout(family, dense_only(provider), &dataset, trials, TRIALS) != SPARSE,
	   "%s, %s, %u outputs, batch %g: rows are kept sparse", provider->name, family->name, classes,
	   batch);
	is_int(zeros.trials[0].outcome, rate > 1 ? HB_OUTCOME_DIVERGED : HB_OUTCOME_TRAINED,
		   "%s, %s, %u outputs, batch %g: and the rate %g", provider->name, family->name, classes,
		   batch, rate);
	/* rmsprop makes steps of gradients that are nothing but rounding, if their mean square is no more */
	if (provider->precision > HB_HIGHEST && !narrow)
		ok(near_results(&zeros, &expanded, rounding(provider)) >= TRIALS - 1,
		   "%s, %s, %u outputs, batch %g: sparse rows train nearly as dense ones", provider->name,
		   family->name, classes, batch);
	else
		is_int(same_results(&zeros, &expanded), TRIALS,
			   "%s, %s, %u outputs, batch %g: sparse rows train as dense ones, bit for bit",
			   provider->name, family->name, classes, batch);
	free_result(&zeros);
	free_result(&expanded);
	synthetic_free(&dataset);
}

/* Trainings of a provider that keeps less of its terms than float32 does come near those in float32. */
static void
check_precision(const HbFamily *family, const HbProvider *provider, uint32_t classes)
{
	HbDataset dataset = synthetic_dataset(1003, 37, classes, 1);
	HbJobTrial trials[TRIALS];
	HbJobResult less, exact;

	varied_trials(family, &dataset, trials);
	less = train(family, provider, &dataset, trials, TRIALS, 0, 1);
	exact = train(family, hb_provider_best(HB_HIGHEST), &dataset, trials, TRIALS, 0, 1);
	ok(same_results(&less, &exact) < TRIALS, "%s, %s, %u outputs: bits are not float32's",
	   provider->name, family->name, classes);
	for (int i = 0; i < TRIALS; i++)
		printf("# trial %d: %.6f, %.6f\n", i, less.trials[i].validation_loss,
			   exact.trials[i].validation_loss);
	/* rmsprop makes steps of gradients that are nothing but rounding, if their mean square is no more */
	ok(near_results(&less, &exact, rounding(provider)) >= TRIALS - 1,
	   "%s, %s, %u outputs: losses of an epoch are near float32's", provider->name, family->name,
	   classes);
	free_result(&less);
	free_result(&exact);
	synthetic_free(&dataset);
}

/* Between rungs only the study's metric is computed, by a shorter way: it must not differ from a rung's. */
static void
check_curve(const HbFamily *family, const HbProvider *provider, uint32_t classes, HbMetricId metric)
{
	HbDataset dataset = synthetic_dataset(1003, 37, classes, 1);
	HbJobTrial trials[TRIALS];
	HbJobResult rung, longer;
	int same = 0;

	class_metric = metric;
	varied_trials(family, &dataset, trials);
	rung = train(family, provider, &dataset, trials, TRIALS, 0, 2);
	longer = train(family, provider, &dataset, trials, TRIALS, 0, 4);
	for (int i = 0; i < TRIALS; i++)
		same += rung.trials[i].metrics.value[metric] == curve_metric[trials[i].number][2];
	is_int(same, TRIALS, "%s, %s, %u classes: %s of a curve point is that of a rung",
		   provider->name, family->name, classes, hb_metrics[metric].name);
	class_metric = HB_METRIC_ERROR;
	free_result(&rung);
	free_result(&longer);
	synthetic_free(&dataset);
}

static void
check_learns(const HbFamily *family, uint32_t classes, double rate, double limit)
{
	HbDataset dataset = synthetic_dataset(4000, 20, classes, 2);
	HbJobTrial trial = {.number = 1};
	HbJobResult result;

	set_params(family, &dataset, trial.params, "learning_rate", rate, NULL);
	curve_points = 0;
	result = train(family, hb_provider_best(HB_HIGH), &dataset, &trial, 1, 0, 9);
	is_int(curve_points, 9, "%s, %u outputs: a curve point every epoch", family->name, classes);
	ok(result.trials[0].loss < limit, "%s, %u outputs: loss %.4f is below %.2f", family->name,
	   classes, result.trials[0].loss, limit);
	free_result(&result);
	synthetic_free(&dataset);
}

static void
check_divergence(void)
{
	const HbFamily *family = hb_family_find("mlp");
	HbDataset dataset = synthetic_dataset(1003, 37, 1, 1);
	HbJobTrial trials[3];
	HbJobResult together, alone;
	int before = 0;

	for (int i = 0; i < 3; i++)
	{
		trials[i] = (HbJobTrial){.number = (uint64_t) (1 + i)};
		set_params(family, &dataset, trials[i].params, "optimizer", 0.0, "learning_rate",
				   i == 1 ? 900.0 : 0.01, NULL);
	}
	together = train(family, hb_provider_best(HB_HIGH), &dataset, trials, 3, 0, 3);
	is_int(together.trials[1].outcome, HB_OUTCOME_DIVERGED, "a rate of 900 diverges");
	is_int(together.trials[1].resource, 0, "a diverged trial stays where it was");
	ok(isnan(together.trials[1].loss) && together.trials[1].state == NULL,
	   "a diverged trial has neither loss nor checkpoint");
	alone = train(family, hb_provider_best(HB_HIGH), &dataset, &trials[2], 1, 0, 3);
	ok(same_trial(&alone.trials[0], &together.trials[2]), "its neighbours go on undisturbed");
	free_result(&together);
	free_result(&alone);
	for (int longest = 3; longest <= 9; longest += 6)
	{
		ticks = 0;
		alone = train(family, hb_provider_best(HB_HIGH), &dataset, &trials[1], 1, 0, longest);
		free_result(&alone);
		ok(ticks > 0 && (longest == 3 || ticks == before), "alone it ends where it diverged");
		before = ticks;
	}
	synthetic_free(&dataset);
}

/* An error that float32 cannot square, on a row that only validates, is no divergence. */
static void
check_absurd_target(const HbFamily *family)
{
	HbDataset dataset = synthetic_dataset(1003, 7, 1, 1);
	HbJobTrial trial = {.number = 1};
	HbJobResult result;

	((float *) dataset.targets)[dataset.validation[5]] = 1e25f;
	set_params(family, &dataset, trial.params, "learning_rate", 0.01, NULL);
	result = train(family, hb_provider_best(HB_HIGH), &dataset, &trial, 1, 0, 2);
	is_int(result.trials[0].outcome, HB_OUTCOME_TRAINED, "%s: a target of 1e25 is no divergence",
		   family->name);
	is_near(result.trials[0].loss / 1e25,
			dataset.header->target_scale / sqrt((double) dataset.header->rows_validation), 1e-3,
			"%s: it is an error like any other", family->name);
	free_result(&result);
	synthetic_free(&dataset);
}

/* The model's own scores give the metrics that training reported, for one row at a time, too. */
static void
check_prediction(const HbFamily *family, uint32_t classes, double loss)
{
	HbDataset dataset = synthetic_dataset(1200, 19, classes, 3);
	HbEncoder encoder = {1, 19, dataset.columns, NULL};
	size_t n = dataset.header->rows_validation, size;
	float *inputs = calloc(n * 32, 4), *scores = calloc(n * classes, 4), *one = calloc(classes, 4);
	float *by_class = calloc(n * classes, 4);
	uint32_t *labels = malloc(n * 4);
	HbJobTrial trial = {.number = 1};
	HbJobResult result;
	HbMetrics metrics;
	HbStatus status;
	HbModel *model;
	HbModelInfo info;
	void *bytes;
	double worst = 0;
	int compared = 0;

	hb_status_init(&status);
	if (loss >= 0)
		set_params(family, &dataset, trial.params, "loss", loss, NULL);
	else
		set_params(family, &dataset, trial.params, "activation", 3.0, "dropout", 0.2, NULL);
	result = train(family, hb_provider_best(HB_HIGH), &dataset, &trial, 1, 0, 3);
	ok(hb_checkpoint_to_model(&hb_host_malloc, result.trials[0].state, result.trials[0].state_bytes,
							  &bytes, &size, &status) &&
		   size < result.trials[0].state_bytes,
	   "%s: the model is smaller than the checkpoint", family->name);
	model = family->open(&hb_host_malloc, bytes, size, &status);
	hb_model_info(model, &info);
	ok(info.inputs == 19 && info.outputs == classes && info.calibrated == (loss != 1),
	   "%s: the model knows its shape", family->name);
	hb_encode_rows(&encoder, &dataset, dataset.validation, (uint32_t) n, 0, inputs, 32);
	family->predict(model, inputs, n, 32, scores);
	for (size_t i = 0; i < n * classes; i++)
		by_class[i % classes * n + i / classes] = scores[i];
	for (size_t i = 0; i < n; i++)
		labels[i] = ((const uint32_t *) dataset.targets)[dataset.validation[i]];
	if (classes == 1)
		hb_metrics_regression(scores, (float *) labels, NULL, n, 2, &metrics, &status);
	else
		hb_metrics_classification(&hb_host_malloc, by_class, labels, NULL, n, classes,
								  info.calibrated, NULL, &metrics, &status);
	for (int m = 0; m < HB_METRIC_COUNT; m++)
		if (!isnan(metrics.value[m]))
		{
			compared++;
			is_near(metrics.value[m], result.trials[0].metrics.value[m], 1e-5, "%s: %s agrees",
					family->name, hb_metrics[m].name);
		}
	is_int(compared, info.calibrated ? 3 : 2, "%s: all metrics of the task are there",
		   family->name);
	for (size_t i = 0; i < n; i++)
	{
		family->predict(model, inputs + i * 32, 1, 32, one);
		for (uint32_t c = 0; c < classes; c++)
			worst = fmax(worst, fabs(one[c] - scores[i * classes + c]));
	}
	ok(worst < 1e-4, "%s: one row at a time agrees with many: %.1e", family->name, worst);
	family->close(model);
	hb_release(&hb_host_malloc, bytes);
	free_result(&result);
	free(inputs);
	free(scores);
	free(by_class);
	free(one);
	free(labels);
	synthetic_free(&dataset);
}

static void
check_resolve(void)
{
	const HbFamily *mlp = hb_family_find("mlp"), *linear = hb_family_find("linear");
	HbProblem problem = {HB_TASK_CLASSIFICATION, 10, 3, 100000};
	const HbHost *host = &hb_host_malloc;
	HbJson *config = hb_json_object(host), *space;
	double params[HB_MAX_PARAMS];
	HbStatus status;
	HbTraining training;
	double cost;

	hb_status_init(&status);
	ok(hb_families[0] == mlp, "mlp is the first family");
	ok(hb_family_resolve(mlp, &problem, config, params, &status),
	   "the empty configuration is fine");
	hb_network_configure(mlp, &problem, params, &training);
	ok(strcmp(training.optimizer->name, "adam") == 0 && training.learning_rate == 0.003 &&
		   training.shape.layers == 3 && training.shape.units[0] == 128 &&
		   training.shape.units[1] == 128 && training.shape.activation == HB_RELU &&
		   strcmp(training.schedule->name, "cosine") == 0 && training.l2 == 1e-5 &&
		   training.batch_size == 128,
	   "defaults: adam 0.003, 2 x 128 relu, cosine, l2 1e-5, batch 128");
	hb_json_set(host, config, "optimizer", hb_json_string(host, "nesterov"));
	hb_json_set(host, config, "layers", hb_json_number(host, 3));
	hb_json_set(host, config, "units", hb_json_number(host, 50));
	hb_json_set(host, config, "units_3", hb_json_number(host, 9));
	ok(hb_family_resolve(mlp, &problem, config, params, &status), "a configuration resolves");
	hb_network_configure(mlp, &problem, params, &training);
	ok(training.momentum == 0.9 && training.shape.units[1] == 50 && training.shape.units[2] == 9,
	   "momentum and units take their defaults");
	cost = hb_network_cost(mlp, &problem, params);
	params[hb_family_param_index(mlp, "batch_size")] *= 2;
	ok(hb_network_cost(mlp, &problem, params) < cost, "larger batches need fewer updates");
	params[hb_family_param_index(mlp, "batch_size")] /= 2;
	params[hb_family_param_index(mlp, "units")] *= 2;
	ok(hb_network_cost(mlp, &problem, params) > cost, "more units cost more");
	params[hb_family_param_index(mlp, "units")] /= 2;
	ok(isnan(params[hb_family_param_index(mlp, "beta1")]), "beta1 is inactive without adam");
	cost = hb_network_cost(mlp, &problem, params);
	problem.row_values = 2;
	is_near(cost - hb_network_cost(mlp, &problem, params), 4 * 50 * (10 - 4 * 2), 1e-9,
			"a value of a sparse row costs as much as four inputs");
	problem.row_values = 10;
	ok(hb_network_cost(mlp, &problem, params) == cost, "and never more than a dense row");
	problem.row_values = 0;
	hb_json_set(host, config, "lrr", hb_json_number(host, 1));
	ok(!hb_family_resolve(mlp, &problem, config, params, &status), "an unknown name is refused");
	is_str(status.message, "unrecognized search space parameter \"lrr\"",
		   "and the message says so");
	is_str(status.sqlstate, "22023", "with 22023");
	hb_status_init(&status);
	ok(!hb_family_check_range(mlp, "layers", true, 1, 9, &status) &&
		   !hb_family_check_range(mlp, "units", false, 1, 9, &status) &&
		   hb_family_check_range(mlp, "units", true, 1, 9, &status),
	   "ranges are checked");
	ok(!hb_family_check_value(mlp, "optimizer", hb_json_string(host, "lion"), &status) &&
		   hb_family_check_value(mlp, "optimizer", hb_json_string(host, "sgd"), &status),
	   "choices are checked");
	config = hb_json_object(host);
	hb_json_set(host, config, "loss", hb_json_string(host, "hinge"));
	hb_family_resolve(linear, &problem, config, params, &status);
	ok(!linear->check(linear, &problem, params, HB_METRIC_LOG_LOSS, false, &status) &&
		   linear->check(linear, &problem, params, HB_METRIC_ERROR, false, &status),
	   "hinge has no log_loss");
	ok(!linear->check(linear, &problem, params, HB_METRIC_ERROR, true, &status),
	   "cosine needs a horizon");
	problem.task = HB_TASK_REGRESSION;
	problem.outputs = 1;
	ok(!linear->check(linear, &problem, params, HB_METRIC_RMSE, false, &status),
	   "hinge needs classes");
	hb_family_resolve(linear, &problem, hb_json_object(host), params, &status);
	ok(linear->check(linear, &problem, params, HB_METRIC_RMSE, false, &status),
	   "regression takes the squared error by itself");
	is_int(hb_default_batch_size(100000), 128, "batch 128 on many rows");
	is_int(hb_default_batch_size(700), 32, "700 rows: 35, as a power of two 32");
	is_int(hb_default_batch_size(50), 16, "few rows: 16");
	space = hb_family_default_space(host, mlp, &problem);
	{
		char text[4096];

		hb_json_print(space, text, sizeof text);
		printf("# %s\n", text);
		hb_json_print(hb_family_default_space(host, linear, &problem), text, sizeof text);
		printf("# %s\n", text);
	}
	is_int(hb_json_get(hb_json_get(space, "learning_rate"), "cases")->count, 2,
		   "only the learning rates that can occur");
	ok(hb_json_get(hb_json_get(space, "momentum"), "when") != NULL, "momentum has a condition");
	ok(hb_json_get(space, "units_2") == NULL && hb_json_get(space, "batch_size") != NULL,
	   "units_2 is by request, batch_size fixed");
}

int
main(void)
{
	const HbFamily *mlp = hb_family_find("mlp"), *linear = hb_family_find("linear");

	check_resolve();
	for (int i = 0; i < hb_nproviders; i++)
		if (hb_providers[i] != NULL && hb_providers[i]->available())
		{
			if (hb_providers[i]->panel > 0 && hb_providers[i]->pack == NULL)
				check_layouts(hb_providers[i]);
			check_reproducible(mlp, hb_providers[i], synthetic_dataset(1003, 37, 5, 1), "dense");
			check_reproducible(linear, hb_providers[i], synthetic_dataset(1003, 37, 2, 1), "dense");
			check_reproducible(linear, hb_providers[i], synthetic_dataset(1003, 37, 1, 1), "dense");
			check_reproducible(mlp, hb_providers[i], synthetic_categories(1003, 5, 20, 5, 1),
							   "sparse");
			check_reproducible(linear, hb_providers[i], synthetic_categories(1003, 5, 20, 2, 1),
							   "sparse");
			if (hb_providers[i]->precision > HB_HIGHEST)
			{
				check_precision(mlp, hb_providers[i], 5);
				check_precision(linear, hb_providers[i], 5);
			}
			if (hb_providers[i]->sparse_from == 0)
				continue;
			check_sparse(mlp, hb_providers[i], 1, 48, 900);
			check_sparse(mlp, hb_providers[i], 4, 48, 0.002);
			check_sparse(mlp, hb_providers[i], 4, 200, 0.002);
			check_sparse(linear, hb_providers[i], 1, 48, 900);
			check_sparse(linear, hb_providers[i], 2, 48, 0.002);
			check_sparse(linear, hb_providers[i], 26, 48, 0.002);
		}
	check_curve(mlp, hb_provider_best(HB_HIGH), 5, HB_METRIC_ERROR);
	check_curve(mlp, hb_provider_best(HB_HIGH), 2, HB_METRIC_LOG_LOSS);
	check_curve(linear, hb_provider_best(HB_HIGH), 3, HB_METRIC_AUC);
	check_learns(mlp, 4, 0.003, 0.15);
	check_learns(linear, 4, 0.05, 0.06);
	check_learns(linear, 1, 0.05, 0.02);
	check_divergence();
	check_absurd_target(mlp);
	check_absurd_target(linear);
	check_prediction(mlp, 4, -1);
	check_prediction(mlp, 1, -1);
	check_prediction(linear, 4, 0);
	check_prediction(linear, 4, 1);
	check_prediction(linear, 2, 1);
	check_prediction(linear, 1, 2);
	return tap_done();
}
