/*
 * test_sampler_gp.c - Gaussian processes against scikit-learn's, and what the sampler makes of them
 */
#include "sampler_study.h"

#include "core/rng.h"
#include "tune/gp_cholesky.h"
#include "tune/gp_search.h"
#include "tune/normal.h"

static const HbHost *host = &hb_host_malloc;

static double
uniform(uint32_t i)
{
	return hb_random_uniform(1, HB_STREAM_GP, 99, i);
}

/* mpmath 1.3, 60 digits: ncdf, npdf */
static void
test_normal(void)
{
	static const double improvements[][2] = {
		{2, 0.69738354578822831},     {0, -0.91893853320467274},    {-0.5, -1.6205162643873199},
		{-1, -2.4851210257126413},    {-3, -7.8696860596030285},    {-10, -55.553122036122356},
		{-19.9, -204.91288769492166}, {-20.1, -208.93274041662462}, {-40, -808.29856835661996},
		{-1e4, -50000019.339619307}};
	static const double log_cdf[][2] = {{-40, -804.60844201375379},  {-20.5, -214.0667289632638},
										{-19.5, -194.0169657774975}, {-3, -6.6077262215103495},
										{0, -0.69314718055994531},   {3, -0.0013508099647481938},
										{8, -6.2209605742717861e-16}};
	static const double quantiles[][2] = {{1e-300, -37.0470962993612},
										  {1e-10, -6.361340902404056},
										  {0.01, -2.3263478740408408},
										  {0.3, -0.5244005127080409},
										  {0.5, 0},
										  {0.975, 1.959963984540054},
										  {1 - 1e-12, 7.0344869100478356}};

	for (int i = 0; i < 10; i++)
		is_near(hb_normal_log_improvement(improvements[i][0]), improvements[i][1],
				1e-11 * (1 + fabs(improvements[i][1])), "log improvement at %g",
				improvements[i][0]);
	for (int i = 0; i < 7; i++)
		is_near(hb_normal_log_cdf(log_cdf[i][0]), log_cdf[i][1], 1e-13 * (fabs(log_cdf[i][1])),
				"log cdf at %g", log_cdf[i][0]);
	for (int i = 0; i < 7; i++)
		is_near(hb_normal_quantile(quantiles[i][0]), quantiles[i][1],
				1e-14 * (1 + fabs(quantiles[i][1])), "quantile of %g", quantiles[i][0]);
	is_near(hb_normal_log_mass(-1, 2), -0.20016629432446258, 1e-14, "mass around zero");
	is_near(hb_normal_log_mass(5, 6), -15.068446096529453, 1e-12, "mass to the right");
	is_near(hb_normal_log_mass(30, 31), -454.32124395634325, 1e-10, "mass far out");
	is_near(hb_normal_log_mass(-31, -30), -454.32124395634325, 1e-10, "and its mirror image");
}

/* A A' + n I of random numbers. */
static double *
positive_definite(int n)
{
	double *factor = malloc(n * n * sizeof(double));
	double *a = malloc(n * n * sizeof(double));

	for (int i = 0; i < n * n; i++)
		factor[i] = uniform(i) - 0.5;
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++)
		{
			a[i * n + j] = i == j ? n * 0.1 : 0;
			for (int k = 0; k < n; k++)
				a[i * n + j] += factor[i * n + k] * factor[j * n + k];
		}
	free(factor);
	return a;
}

/* Golub and Van Loan, algorithm 4.2.1, as it stands there. */
static void
naive_cholesky(double *a, int n)
{
	for (int j = 0; j < n; j++)
	{
		for (int k = 0; k < j; k++)
			for (int i = j; i < n; i++)
				a[i * n + j] -= a[i * n + k] * a[j * n + k];
		for (int i = n - 1; i >= j; i--)
			a[i * n + j] /= sqrt(a[j * n + j]);
	}
}

static void
check_cholesky(int n)
{
	double *a = positive_definite(n);
	double *blocked = malloc(n * n * sizeof(double));
	double *naive = malloc(n * n * sizeof(double));
	double *inverse = malloc(n * n * sizeof(double));
	double *scratch = malloc(n * n * sizeof(double));
	double *b = malloc(n * sizeof(double));
	double difference = 0;
	double residual = 0;
	double identity = 0;

	memcpy(blocked, a, n * n * sizeof(double));
	memcpy(naive, a, n * n * sizeof(double));
	ok(hb_cholesky(blocked, n), "n = %d: positive definite", n);
	naive_cholesky(naive, n);
	for (int i = 0; i < n; i++)
		for (int j = 0; j <= i; j++)
			difference = fmax(difference, fabs(blocked[i * n + j] - naive[i * n + j]));
	for (int i = 0; i < n; i++)
		b[i] = i % 5 - 2;
	hb_solve_lower(blocked, n, b);
	hb_solve_lower_transposed(blocked, n, b);
	hb_cholesky_inverse(blocked, n, inverse, scratch);
	for (int i = 0; i < n; i++)
	{
		double sum = -(i % 5 - 2);

		for (int j = 0; j < n; j++)
			sum += a[i * n + j] * b[j];
		residual = fmax(residual, fabs(sum));
		for (int j = 0; j < n; j++)
		{
			sum = i == j ? -1 : 0;
			for (int k = 0; k < n; k++)
				sum += a[i * n + k] * (k >= j ? inverse[k * n + j] : inverse[j * n + k]);
			identity = fmax(identity, fabs(sum));
		}
	}
	ok(difference < 1e-12 * n, "n = %d: the factor is the naive one's", n);
	ok(residual < 1e-10, "n = %d: solutions solve", n);
	ok(identity < 1e-10, "n = %d: the inverse inverts", n);
	a[n * n - 1] = -1;
	ok(!hb_cholesky(a, n), "n = %d: a matrix that is not positive definite is refused", n);
	free(a);
	free(blocked);
	free(naive);
	free(inverse);
	free(scratch);
	free(b);
}

/*
 * scikit-learn 1.9.1: GaussianProcessRegressor(ConstantKernel(1.7) * Matern(length_scale=[.3, .7, 1.4, 1.4, 1.4], nu=2.5),
 * alpha=0.02, optimizer=None) on the two numbers and, divided by sqrt(2), the one-hot code of the third column;
 * predict(t, return_std=True) and log_marginal_likelihood().
 */
static const double gp_x[12 * 3] = {0.076, 0.78,  0, 0.438, 0.723, 2, 0.978, 0.538, 1,
									0.501, 0.072, 0, 0.268, 0.5,   0, 0.679, 0.804, 1,
									0.381, 0.066, 0, 0.288, 0.91,  0, 0.213, 0.452, 2,
									0.931, 0.025, 1, 0.601, 0.95,  0, 0.23,  0.548, 0};
static const double gp_y[12] = {0.979, 1.937, -0.395, 0.6,    1.223, 0.696,
								0.949, 1.82,  1.679,  -0.698, 1.039, 1.213};
static const double gp_t[5 * 3] = {0.951, 0.349, 0,     0.277, 0.447, 1,    0.958, 0.18,
								   2,     0.143, 0.084, 0,     0.547, 0.31, 1};
static const double gp_mean[5] = {-0.355454399655341, 1.28226390057796, -0.379622188037271,
								  0.730426567760836, 0.730905694622676};
static const double gp_variance[5] = {0.812270058348646, 0.700740381915351, 0.858967636665089,
									  0.568510907200232, 0.607944057280406};
static const bool gp_category[3] = {false, false, true};

static void
test_posterior(void)
{
	double scratch[12];
	HbStatus status;
	HbGp gp;

	hb_gp_init(&gp, host, 12, 3, gp_category, gp_x, gp_y, &status);
	gp.theta[0] = log(0.3);
	gp.theta[1] = log(0.7);
	gp.theta[2] = log(1.4);
	gp.theta[3] = log(1.7);
	gp.theta[4] = log(0.02);
	ok(hb_gp_factorise(&gp), "the covariance is positive definite");
	is_near(hb_gp_log_likelihood(&gp), -10.8259217617298, 1e-11, "marginal likelihood");
	for (int i = 0; i < 5; i++)
	{
		double mean;
		double variance;

		hb_gp_predict(&gp, gp_t + 3 * i, scratch, &mean, &variance);
		is_near(mean, gp_mean[i], 1e-12, "mean at point %d", i);
		is_near(variance, gp_variance[i], 1e-12, "variance at point %d", i);
	}
	hb_gp_release(&gp);
}

static double
likelihood_at(HbGp *gp, int k, double change)
{
	double value;

	gp->theta[k] += change;
	hb_gp_factorise(gp);
	value = hb_gp_log_likelihood(gp);
	gp->theta[k] -= change;
	return value;
}

static void
test_gradient(void)
{
	static double x[12 * 3];
	double gradient[5];
	HbStatus status;
	HbGp gp;

	memcpy(x, gp_x, sizeof(x));
	x[3 * 4] = x[3 * 7] = x[3 * 9 + 2] = NAN; /* inactive parameters */
	hb_gp_init(&gp, host, 12, 3, gp_category, x, gp_y, &status);
	for (int k = 0; k < 5; k++)
		gp.theta[k] = -0.3 - 0.4 * k;
	hb_gp_factorise(&gp);
	hb_gp_gradient(&gp, gradient, &status);
	for (int k = 0; k < 5; k++)
		is_near(gradient[k], (likelihood_at(&gp, k, 1e-5) - likelihood_at(&gp, k, -1e-5)) / 2e-5,
				1e-7, "derivative %d of the likelihood, by differences", k);
	hb_gp_release(&gp);
}

/* The fit is at least as likely as anything around it, and finds which of two inputs matters. */
static void
test_fit(void)
{
	double x[60 * 2];
	double y[60];
	bool category[2] = {false, false};
	double scratch[60];
	double error = 0;
	HbStatus status;
	HbGp gp;

	for (int i = 0; i < 60; i++)
	{
		x[2 * i] = uniform(2 * i);
		x[2 * i + 1] = uniform(2 * i + 1);
		y[i] = 1.4 * sin(7 * x[2 * i]) + 0.01 * (uniform(1000 + i) - 0.5);
	}
	hb_gp_init(&gp, host, 60, 2, category, x, y, &status);
	ok(hb_gp_fit(&gp, &status), "hyperparameters are found");
	printf("# lengths %.3g %.3g, signal %.3g, noise %.3g\n", exp(gp.theta[0]), exp(gp.theta[1]),
		   exp(gp.theta[2]), exp(gp.theta[3]));
	ok(gp.theta[1] > gp.theta[0] + 1.5, "the input that does not matter has a far longer scale");
	ok(exp(gp.theta[3]) < 1e-3, "there is little noise");
	hb_gp_factorise(&gp);
	for (int i = 0; i < 100; i++)
	{
		double at[2] = {uniform(3000 + 2 * i), uniform(3001 + 2 * i)};
		double mean;
		double variance;

		hb_gp_predict(&gp, at, scratch, &mean, &variance);
		error = fmax(error, fabs(mean - 1.4 * sin(7 * at[0])));
	}
	ok(error < 0.05, "the mean follows the function (largest error %.3g)", error);
	hb_gp_release(&gp);
}

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *) a;
	double y = *(const double *) b;

	return (x > y) - (x < y);
}

static double
median_best(const char *sampler, const char *space, double (*objective)(const HbJson *), int trials,
			int seeds)
{
	static Study study;
	HbSpace *parsed = study_space(space);
	double best[32];

	for (int seed = 0; seed < seeds; seed++)
	{
		study_start(&study, sampler, parsed, 200 + seed);
		best[seed] = study_minimise(&study, objective, trials);
	}
	qsort(best, seeds, sizeof(double), compare_doubles);
	printf("# %s: best %.4f, median %.4f, worst %.4f\n", sampler, best[0], best[seeds / 2],
		   best[seeds - 1]);
	return best[seeds / 2];
}

static void
test_optimises(void)
{
	ok(median_best("gp", BRANIN_SPACE, branin, 30, 15) < 0.45,
	   "Branin: within 0.05 of the minimum in 30 trials");
	ok(median_best("gp", HARTMANN6_SPACE, hartmann6, 60, 5) < -3.1, "Hartmann-6 in 60 trials");
	ok(median_best("random", HARTMANN6_SPACE, hartmann6, 60, 5) > -2.8, "which is not luck");
}

/* Discrete, conditional, with crashes; the best is a = 3, b = 17, c = 0.3. */
static double
awkward(const HbJson *config)
{
	double a = study_number(config, "a");
	double b = study_number(config, "b");

	if (b < 4)
		return NAN;
	if (a == 1)
		return 1e30;
	return fabs(log(b / 17)) + (a == 3 ? fabs(study_number(config, "c") - 0.3) : 0.5);
}

static void
test_awkward(void)
{
	static Study study;
	const char *space = "{'a':[1,2,3],'b':{'type':'int','low':1,'high':100,'log':true},"
						"'c':{'type':'float','low':0,'high':1,'when':{'a':3}}}";
	double best[2] = {0, 0};

	for (int k = 0; k < 2; k++)
		for (int seed = 0; seed < 8; seed++)
		{
			study_start(&study, k ? "gp" : "random", study_space(space), seed);
			best[k] += study_minimise(&study, awkward, 40) / 8;
		}
	printf("# awkward: random %.4f, gp %.4f\n", best[0], best[1]);
	ok(best[1] < 0.5 * best[0], "conditions, integers, crashes and outliers are coped with");
	study_start(&study, "gp", study_space("{'a':[1,2,3],'b':{'type':'int','low':1,'high':5}}"), 3);
	for (int i = 1; i <= 15; i++)
	{
		study_ask(&study);
		study_tell(&study, i, 1, i % 6);
	}
	is_int(study_repeats(&study), 0, "all 15 configurations of a small space come once");
	ok(study_ask(&study) != NULL, "then one comes again");
	study_start(&study, "gp", study_space("{'a':3,'b':[true]}"), 5);
	for (int i = 1; i <= 12; i++)
	{
		study_ask(&study);
		study_tell(&study, i, 1, i == 4 ? 1 : INFINITY);
	}
	is_int(study.request.nobservations, 12, "a space without a choice has its trials");
}

/* Smallest distance between two of the pending proposals. */
static double
closest(const Study *study)
{
	double smallest = INFINITY;

	for (int i = 0; i < study->request.npending; i++)
		for (int k = 0; k < i; k++)
			smallest = fmin(
				smallest,
				hypot(study_number(study->pending[i], "x") - study_number(study->pending[k], "x"),
					  study_number(study->pending[i], "y") - study_number(study->pending[k], "y")));
	return smallest;
}

static void
test_batches(void)
{
	static Study study;
	static Study other;
	HbSpace *space = study_space(BRANIN_SPACE);
	int same = 0;

	study_start(&study, "gp", space, 8);
	study_minimise(&study, branin, 15);
	other = study;
	other.request.observations = other.observations;
	other.request.pending = other.pending;
	other.request.memo = NULL;
	for (int i = 0; i < 6; i++)
		same += hb_json_equal(study_ask(&study), study_ask(&other));
	is_int(same, 6, "a batch is the same with and without a memo");
	ok(closest(&study) > 0.05, "its members keep apart (%.3g)", closest(&study));
}

/* A host that notes the largest piece of memory that was asked for. */
static size_t largest;

static void *
noting_alloc(void *context, size_t size)
{
	largest = size > largest ? size : largest;
	return hb_host_malloc.alloc(context, size);
}

#define MANY 5000

static HbObservation results[MANY];

/*
 * The best of `most` results are those with i % 20 == 3, and every loss differs.  other: configurations that are neither
 * among the best nor among the latest are others.
 */
static const HbJson *
ask_after(int most, bool other)
{
	static const HbJson *pending[300];
	static Study study;
	HbHost host = hb_host_malloc;
	const HbJson *proposal;
	char text[64];

	host.alloc = noting_alloc;
	study_start(&study, "gp", study_space(BRANIN_SPACE), 8);
	for (int i = 0; i < most + 300; i++)
	{
		double shift = other && i % 20 != 3 && i < most - 2000 ? 0.5 : 0;
		double x = 15 * hb_random_uniform(8, HB_STREAM_GP, 0, 2 * i);
		double y = 15 * hb_random_uniform(8, HB_STREAM_GP, 0, 2 * i + 1);

		snprintf(text, sizeof(text), "{'x':%.17g,'y':%.17g}", fmod(x + 7 * shift, 15) - 5, y);
		if (i < most)
			results[i] = (HbObservation){i + 1, 1, (i % 20 == 3 ? 0 : MANY) + i, parse_json(text)};
		else
			pending[i - most] = parse_json(text);
	}
	study.request.observations = results;
	study.request.nobservations = most;
	study.request.pending = pending;
	study.request.npending = 300;
	study.request.number = most + 301;
	study.request.host = &host;
	study.request.memo = NULL;
	largest = 0;
	proposal = study.sampler->sample(&study.request, &study.status);
	ok(proposal != NULL, "%d results and 300 pending trials", most);
	return proposal;
}

/* More results and pending trials than are modelled: the covariance is no larger, and the others have no say. */
static void
test_bounded(void)
{
	size_t rows = HB_GP_MOST_RESULTS + HB_GP_MOST_PENDING;
	const HbJson *proposal;

	(void) ask_after(600, false);
	is_int(largest, rows * rows * sizeof(double),
		   "600 results: the covariance is the largest piece");
	proposal = ask_after(MANY, false);
	is_int(largest, rows * rows * sizeof(double), "5,000 results: it is as large");
	ok(hb_json_equal(proposal, ask_after(MANY, true)), "results that are not modelled have no say");
}

int
main(void)
{
	test_normal();
	check_cholesky(1);
	check_cholesky(5);
	check_cholesky(48);
	check_cholesky(131);
	test_posterior();
	test_gradient();
	test_fit();
	test_optimises();
	test_awkward();
	test_batches();
	test_bounded();
	return tap_done();
}
