/*
 * tpe_parzen.c - the multivariate Parzen estimator of Optuna's TPE sampler
 *
 * Bergstra, Bardenet, Bengio and Kegl, NIPS 2011; the kernels as Optuna 5 defines them (see also Watanabe,
 * arXiv:2304.11127): in coordinates in which a parameter's range is [0,1], with n observations,
 *   width   the larger distance to a neighbour among the observations (to the only neighbour at either end, to the
 *           farther bound where there is one observation), at least 1 / min(100, n + 2), at most 1
 *   prior   a normal at 1/2 of width 1, with the weight of one observation
 *   weights 1 for the last 25 observations, rising linearly from 1/n for the older ones
 *   choices weight 1 / (n + 1) each, and 1 more for the observed one
 * Discrete numbers have the mass of their cell.
 */
#include "tune/tpe_parzen.h"

#include <math.h>
#include <stdlib.h>

#include "tune/normal.h"

#define FLAT_WEIGHTS 25
#define HALF_LOG_2PI 0.91893853320467274178

double
hb_draw_uniform(HbDraws *draws)
{
	return hb_random_uniform(draws->seed, draws->stream, draws->detail, draws->next++);
}

/* Weights of n observations in order of their age, then the prior's. */
static void
set_weights(double *weight, int n)
{
	int old = n - FLAT_WEIGHTS;
	double sum = 1;

	for (int i = 0; i < n; i++)
	{
		if (i >= old)
			weight[i] = 1;
		else
			weight[i] = old > 1 ? 1.0 / n + (1 - 1.0 / n) * i / (old - 1) : 1.0 / n;
		sum += weight[i];
	}
	weight[n] = 1;
	for (int i = 0; i <= n; i++)
		weight[i] /= sum;
}

typedef struct Neighbour
{
	double center;
	int kernel;
} Neighbour;

static int
compare_neighbours(const void *left, const void *right)
{
	const Neighbour *a = left;
	const Neighbour *b = right;

	if (a->center != b->center)
		return a->center < b->center ? -1 : 1;
	return (a->kernel > b->kernel) - (a->kernel < b->kernel);
}

/* The width of the kernel at position i of the sorted ones. */
static double
neighbour_distance(const Neighbour *sorted, int i, int n)
{
	double below = i > 0 ? sorted[i].center - sorted[i - 1].center : 0;
	double above = i < n - 1 ? sorted[i + 1].center - sorted[i].center : 0;

	if (n == 1)
		return fmax(sorted[0].center, 1 - sorted[0].center);
	return fmax(below, above);
}

static bool
set_number_axis(HbParzenAxis *axis, const HbHost *host, int n)
{
	Neighbour *sorted = hb_alloc(host, (n + 1) * sizeof(*sorted));

	if (!sorted)
		return false;
	for (int i = 0; i < n; i++)
		sorted[i] = (Neighbour){axis->center[i], i};
	qsort(sorted, n, sizeof(*sorted), compare_neighbours);
	for (int i = 0; i < n; i++)
		axis->sigma[sorted[i].kernel] =
			fmin(fmax(neighbour_distance(sorted, i, n), 1 / fmin(100, n + 2)), 1);
	axis->center[n] = 0.5;
	axis->sigma[n] = 1;
	for (int i = 0; i <= n; i++)
		axis->log_mass[i] = hb_normal_log_mass(-axis->center[i] / axis->sigma[i],
											   (1 - axis->center[i]) / axis->sigma[i]);
	hb_release(host, sorted);
	return true;
}

static bool
init_axis(HbParzen *parzen, const HbHost *host, int d, const HbObserved *observed, const int *rows,
		  int nrows)
{
	HbParzenAxis *axis = &parzen->axes[d];
	size_t size = parzen->kernels * sizeof(double);
	int param = parzen->space->params[d];

	axis->dist = parzen->space->dists[d];
	axis->center = hb_alloc(host, size);
	axis->sigma = hb_alloc(host, size);
	axis->log_mass = hb_alloc(host, size);
	if (!axis->center || !axis->sigma || !axis->log_mass)
		return false;
	for (int i = 0; i < nrows; i++)
	{
		double code = observed->codes[(size_t) rows[i] * observed->nparams + param];

		axis->center[i] =
			hb_dist_is_number(axis->dist) ? hb_dist_coordinate(axis->dist, code) : code;
	}
	if (hb_dist_is_number(axis->dist))
		return set_number_axis(axis, host, nrows);
	axis->center[nrows] = -1; /* the prior favours no choice */
	return true;
}

bool
hb_parzen_init(HbParzen *parzen, const HbHost *host, const HbParzenSpace *space,
			   const HbObserved *observed, const int *rows, int nrows, HbStatus *status)
{
	*parzen = (HbParzen){.space = space, .kernels = nrows + 1};
	parzen->weight = hb_alloc(host, parzen->kernels * sizeof(double));
	parzen->axes = hb_alloc(host, space->n * sizeof(*parzen->axes));
	if (!parzen->weight || !parzen->axes)
		return hb_fail_memory(status, parzen->kernels * sizeof(double));
	set_weights(parzen->weight, nrows);
	for (int d = 0; d < space->n; d++)
		if (!init_axis(parzen, host, d, observed, rows, nrows))
			return hb_fail_memory(status, parzen->kernels * sizeof(double));
	return true;
}

void
hb_parzen_release(HbParzen *parzen, const HbHost *host)
{
	for (int d = 0; parzen->axes && d < parzen->space->n; d++)
	{
		hb_release(host, parzen->axes[d].center);
		hb_release(host, parzen->axes[d].sigma);
		hb_release(host, parzen->axes[d].log_mass);
	}
	hb_release(host, parzen->axes);
	hb_release(host, parzen->weight);
	*parzen = (HbParzen){0};
}

static double
draw_number(const HbParzenAxis *axis, int kernel, double widening, double u)
{
	double center = axis->center[kernel];
	double sigma = axis->sigma[kernel] * widening;
	double low = hb_normal_cdf(-center / sigma);
	double high = hb_normal_cdf((1 - center) / sigma);
	double p = low + u * (high - low);
	double x = p <= 0 ? 0 : p >= 1 ? 1 : center + sigma * hb_normal_quantile(p);

	return hb_dist_number(axis->dist, fmin(fmax(x, 0), 1));
}

/* Mass 1 / kernels on each choice and 1 more on the observed one, out of 1 + choices / kernels. */
static double
draw_choice(const HbParzenAxis *axis, int kernel, int kernels, double u)
{
	double even = (double) axis->dist->nchoices / kernels;
	double at = u * (even + 1);

	if (axis->center[kernel] < 0)
		return hb_dist_choice(axis->dist, u);
	return at < even ? hb_dist_choice(axis->dist, at / even) : axis->center[kernel];
}

void
hb_parzen_draw(const HbParzen *parzen, HbDraws *draws, double widening, double *codes)
{
	double u = hb_draw_uniform(draws);
	int kernel = 0;

	while (kernel < parzen->kernels - 1 && u >= parzen->weight[kernel])
		u -= parzen->weight[kernel++];
	for (int d = 0; d < parzen->space->n; d++)
	{
		const HbParzenAxis *axis = &parzen->axes[d];
		double draw = hb_draw_uniform(draws);

		codes[d] = hb_dist_is_number(axis->dist) ? draw_number(axis, kernel, widening, draw)
												 : draw_choice(axis, kernel, parzen->kernels, draw);
	}
}

static void
add_choice_density(const HbParzenAxis *axis, int kernels, double code, double *log_density)
{
	double choices = axis->dist->nchoices;
	double other = log(1 / (kernels + choices));
	double same = log((kernels + 1) / (kernels + choices));

	for (int k = 0; k < kernels; k++)
	{
		if (axis->center[k] < 0)
			log_density[k] -= log(choices);
		else
			log_density[k] += axis->center[k] == code ? same : other;
	}
}

static void
add_number_density(const HbParzenAxis *axis, int kernels, double code, double *log_density)
{
	double low;
	double high;
	double x = hb_dist_coordinate(axis->dist, code);
	bool discrete = hb_dist_cell(axis->dist, code, &low, &high);

	for (int k = 0; k < kernels; k++)
	{
		double center = axis->center[k];
		double sigma = axis->sigma[k];
		double z = (x - center) / sigma;

		log_density[k] +=
			(discrete ? hb_normal_log_mass((low - center) / sigma, (high - center) / sigma)
					  : -0.5 * z * z - HALF_LOG_2PI - log(sigma)) -
			axis->log_mass[k];
	}
}

double
hb_parzen_log_density(const HbParzen *parzen, const double *codes, double *scratch)
{
	double largest = -INFINITY;
	double sum = 0;

	for (int k = 0; k < parzen->kernels; k++)
		scratch[k] = log(parzen->weight[k]);
	for (int d = 0; d < parzen->space->n; d++)
	{
		const HbParzenAxis *axis = &parzen->axes[d];

		if (hb_dist_is_number(axis->dist))
			add_number_density(axis, parzen->kernels, codes[d], scratch);
		else
			add_choice_density(axis, parzen->kernels, codes[d], scratch);
	}
	for (int k = 0; k < parzen->kernels; k++)
		largest = fmax(largest, scratch[k]);
	for (int k = 0; k < parzen->kernels; k++)
		sum += exp(scratch[k] - largest);
	return largest + log(sum);
}
