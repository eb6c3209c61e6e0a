/*
 * sampler_gp.c - Bayesian optimisation with a Gaussian process
 *
 * Snoek, Larochelle and Adams, NIPS 2012: a Matern-5/2 kernel with a length scale a parameter, and the configuration
 * with the largest expected improvement (its logarithm, Ament et al., NeurIPS 2023).  Losses are warped first: those
 * worse than the median are replaced by what a normal with the spread of the better half would show at their rank
 * (Song et al., The Vizier Gaussian Process Bandit Algorithm, 2024), so that a diverged trial is bad news, but no
 * outlier.  Pending trials count as if the best loss had been found there (constant liar; Ginsbourger, Le Riche and
 * Carraro, 2010), which keeps a batch apart.
 *
 * Cost is bounded: beyond 240 results the best 120 and the latest 120 others are modelled, beyond 80 pending trials the
 * latest 80.  Hyperparameters are fitted to the leading results, a number that grows by a fifth at a time, so that few
 * proposals pay for a fit; of these, to at most 100 chosen in the same way.
 */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "tune/gp_search.h"
#include "tune/normal.h"
#include "tune/observed.h"
#include "tune/proposal.h"
#include "tune/sobol.h"

#define MOST_FITTED 100
#define ALL_FITTED 20
#define FITTED_GROWTH 1.2

typedef struct GpSampler
{
	const HbSampleRequest *request;
	const HbObserved *observed;
	HbGpAxes axes;
	int *order; /* rows, best first */
	int *rows;  /* chosen results, then pending rows */
	int n;      /* results among rows */
	int npending;
	double *warped; /* by row of results */
	double *x;      /* chosen rows x axes.d */
	double *y;
} GpSampler;

/* Start-up points are as many as a plane through them needs, and a few more. */
static int
startup_trials(const HbSampleRequest *request)
{
	int d = 0;

	for (int p = 0; p < request->space->nparams; p++)
		d += hb_dist_is_free(&request->space->params[p].cases[0]);
	return d + 2 < 5 ? 5 : d + 2 > 12 ? 12 : d + 2;
}

/* The lower median, of the finite losses where most are not, and the spread of the losses up to it. */
static void
better_half(const GpSampler *gp, double *median, double *spread)
{
	const double *losses = gp->observed->losses;
	int middle = (gp->observed->n - 1) / 2;
	double sum = 0;

	while (!isfinite(losses[gp->order[middle]]))
		middle--;
	*median = losses[gp->order[middle]];
	for (int k = 0; k <= middle; k++)
		sum += pow(losses[gp->order[k]] - *median, 2);
	*spread = sqrt(sum / (middle + 1));
	if (!(*spread > 0) || !isfinite(*spread))
		*spread = 1;
}

static void
standardise(double *values, int n)
{
	double mean = 0;
	double square = 0;

	for (int i = 0; i < n; i++)
		mean += values[i] / n;
	for (int i = 0; i < n; i++)
		square += (values[i] - mean) * (values[i] - mean) / n;
	for (int i = 0; i < n; i++)
		values[i] = square > 0 ? (values[i] - mean) / sqrt(square) : 0;
}

/* Losses to values of mean 0 and variance 1; equal losses share the middle of their ranks. */
static void
warp(GpSampler *gp)
{
	const double *losses = gp->observed->losses;
	int n = gp->observed->n;
	int end;
	double median;
	double spread;

	better_half(gp, &median, &spread);
	for (int first = 0; first < n; first = end)
	{
		double loss = losses[gp->order[first]];

		for (end = first + 1; end < n && losses[gp->order[end]] == loss;)
			end++;
		if (loss > median)
			loss = median + spread * hb_normal_quantile(fmax(0.5 * (first + end) / n, 0.5));
		for (int k = first; k < end; k++)
			gp->warped[gp->order[k]] = loss;
	}
	standardise(gp->warped, n);
}

/* Writes at most most rows in ascending order: the best half of them, and the latest of the rest. */
static int
choose_rows(GpSampler *gp, int most, int *rows, bool *chosen)
{
	int n = gp->observed->n;
	int left = most - most / 2;
	int count = 0;

	for (int i = 0; i < n; i++)
		chosen[i] = n <= most;
	for (int k = 0; n > most && k < most / 2; k++)
		chosen[gp->order[k]] = true;
	for (int i = n - 1; n > most && i >= 0 && left > 0; i--)
		if (!chosen[i])
		{
			chosen[i] = true;
			left--;
		}
	for (int i = 0; i < n; i++)
		if (chosen[i])
			rows[count++] = i;
	return count;
}

static void
encode_rows(GpSampler *gp, int nresults, int npending)
{
	const HbObserved *observed = gp->observed;
	double best = gp->warped[gp->order[0]];

	for (int i = 0; i < nresults + npending; i++)
	{
		size_t start = (size_t) gp->rows[i] * observed->nparams;

		hb_gp_encode(&gp->axes, gp->request->space, observed->dists + start,
					 observed->codes + start, gp->x + (size_t) i * gp->axes.d);
		gp->y[i] = i < nresults ? gp->warped[gp->rows[i]] : best;
	}
}

static bool
allocate(GpSampler *gp, bool **chosen, HbStatus *status)
{
	const HbHost *host = gp->request->host;
	size_t n = gp->observed->n;
	size_t rows = HB_GP_MOST_RESULTS + HB_GP_MOST_PENDING;

	*chosen = hb_alloc(host, n * sizeof(bool));
	gp->order = hb_alloc(host, n * sizeof(int));
	gp->warped = hb_alloc(host, n * sizeof(double));
	gp->rows = hb_alloc(host, rows * sizeof(int));
	gp->x = hb_alloc(host, rows * gp->axes.d * sizeof(double));
	gp->y = hb_alloc(host, rows * sizeof(double));
	if (*chosen && gp->order && gp->warped && gp->rows && gp->x && gp->y)
		return true;
	return hb_fail_memory(status, (n + rows) * sizeof(double));
}

static void
release(GpSampler *gp, bool *chosen)
{
	const HbHost *host = gp->request->host;

	hb_release(host, chosen);
	hb_release(host, gp->order);
	hb_release(host, gp->warped);
	hb_release(host, gp->rows);
	hb_release(host, gp->x);
	hb_release(host, gp->y);
}

static bool
any_finite(const HbObserved *observed)
{
	for (int i = 0; i < observed->n; i++)
		if (observed->losses[i] < INFINITY)
			return true;
	return false;
}

/* The leading results that hyperparameters are fitted to. */
static HbObserved
fitted_results(const HbObserved *observed)
{
	HbObserved leading = *observed;
	double size = ALL_FITTED;

	while (size * FITTED_GROWTH <= observed->n)
		size *= FITTED_GROWTH;
	if (observed->n > ALL_FITTED)
		leading.n = (int) size;
	return any_finite(&leading) ? leading : *observed;
}

/* Hyperparameters from the results alone: those of a batch share them, and the memo saves fitting them again. */
static bool
fit(GpSampler *gp, bool *chosen, double *theta, HbStatus *status)
{
	HbSamplerMemo *memo = gp->request->memo;
	int d = gp->axes.d;
	int n;
	bool fits = memo && d + 2 <= HB_SAMPLER_MEMO_VALUES;
	uint64_t key;
	HbGp model;
	bool done;

	if (!hb_observed_rank(gp->observed, gp->request->host, gp->order, status))
		return false;
	warp(gp);
	n = choose_rows(gp, MOST_FITTED, gp->rows, chosen);
	encode_rows(gp, n, 0);
	key =
		hb_hash64(gp->x, (size_t) n * d * sizeof(double), hb_hash64(gp->y, n * sizeof(double), 0));
	if (fits && memo->count == d + 2 && memo->key == key)
	{
		memcpy(theta, memo->values, (d + 2) * sizeof(double));
		return true;
	}
	if (!hb_gp_init(&model, gp->request->host, n, d, gp->axes.category, gp->x, gp->y, status))
		return false;
	done = hb_gp_fit(&model, status);
	memcpy(theta, model.theta, (d + 2) * sizeof(double));
	hb_gp_release(&model);
	if (done && fits)
	{
		memo->key = key;
		memo->count = d + 2;
		memcpy(memo->values, theta, (d + 2) * sizeof(double));
	}
	return done;
}

/* More noise until the covariance can be factorised. */
static bool
factorise(HbGp *model, HbStatus *status)
{
	for (int attempt = 0; attempt < 8; attempt++)
	{
		if (hb_gp_factorise(model))
			return true;
		model->theta[model->d + 1] += 2.3;
	}
	return hb_fail(status, HB_ERR_INTERNAL, "covariance of the Gaussian process is singular");
}

/*
 * The lowest mean at a result: losses are noisy, so that the lowest one may be luck.  There (K + noise I) alpha = y gives
 * the mean K alpha without a solve.
 */
static double
lowest_mean(const GpSampler *gp, const HbGp *model)
{
	double noise = exp(model->theta[model->d + 1]);
	double lowest = INFINITY;

	for (int i = 0; i < gp->n; i++)
		lowest = fmin(lowest, gp->y[i] - noise * model->alpha[i]);
	return lowest;
}

static bool
search(GpSampler *gp, const double *theta, HbPoint *point, HbStatus *status)
{
	const HbHost *host = gp->request->host;
	bool found = false;
	bool done;
	HbGp model;

	if (!hb_gp_init(&model, host, gp->n + gp->npending, gp->axes.d, gp->axes.category, gp->x, gp->y,
					status))
		return false;
	memcpy(model.theta, theta, (gp->axes.d + 2) * sizeof(double));
	done = factorise(&model, status) &&
		   hb_gp_search(&model, &gp->axes, gp->request, lowest_mean(gp, &model), gp->observed,
						gp->order, point, &found, status);
	hb_gp_release(&model);
	/* every candidate a repeat: a small space, where what is left is found by walking it */
	if (done && !found)
		done = hb_propose_random(gp->request, point, status);
	return done;
}

static bool
propose_from_model(GpSampler *gp, HbPoint *point, HbStatus *status)
{
	const HbObserved *observed = gp->observed;
	double *theta = hb_alloc(gp->request->host, (gp->axes.d + 2) * sizeof(double));
	int skipped =
		observed->npending > HB_GP_MOST_PENDING ? observed->npending - HB_GP_MOST_PENDING : 0;
	HbObserved leading = fitted_results(observed);
	bool *chosen;
	bool done;

	if (!theta)
		return hb_fail_memory(status, (gp->axes.d + 2) * sizeof(double));
	if (!allocate(gp, &chosen, status))
		return false;
	gp->observed = &leading;
	done = fit(gp, chosen, theta, status);
	gp->observed = observed;
	if (done && (done = hb_observed_rank(observed, gp->request->host, gp->order, status)))
	{
		warp(gp);
		gp->n = choose_rows(gp, HB_GP_MOST_RESULTS, gp->rows, chosen);
		gp->npending = observed->npending - skipped;
		for (int i = 0; i < gp->npending; i++)
			gp->rows[gp->n + i] = observed->n + skipped + i;
		encode_rows(gp, gp->n, gp->npending);
		done = search(gp, theta, point, status);
	}
	release(gp, chosen);
	hb_release(gp->request->host, theta);
	return done;
}

static bool
propose_gp(const HbSampleRequest *request, HbPoint *point, HbStatus *status)
{
	HbObserved observed;
	GpSampler gp = {.request = request, .observed = &observed};
	bool done;

	if (!hb_observed_init(&observed, request, status) ||
		!hb_gp_axes_init(&gp.axes, request->host, request->space, status))
		return false;
	if (gp.axes.d == 0 || !any_finite(&observed) ||
		(!request->multi_fidelity && observed.n < startup_trials(request)) ||
		hb_observed_skips_model(request, HB_STREAM_GP))
		done = hb_propose_spread(request, point, status);
	else
		done = propose_from_model(&gp, point, status);
	hb_gp_axes_release(&gp.axes, request->host);
	hb_observed_release(&observed, request->host);
	return done;
}

static HbJson *
sample_gp(const HbSampleRequest *request, HbStatus *status)
{
	return hb_propose(request, propose_gp, status);
}

extern const HbSampler hb_sampler_gp;
const HbSampler hb_sampler_gp = {
	.name = "gp",
	.description = "a Gaussian process fitted to earlier results",
	.learns = true,
	.available = true,
	.sample = sample_gp,
};
