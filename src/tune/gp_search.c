/*
 * gp_search.c - maximising log expected improvement over a search space
 *
 * A candidate is a vector u of one number in [0,1) a parameter, which the space turns into a configuration; what is
 * rounded is rounded before it is judged (Garrido-Merchan and Hernandez-Lobato, 2020).  Steps of the local search
 * change some components by a normal step that shrinks from round to round, a choice by a fresh draw.
 */
#include "tune/gp_search.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "tune/normal.h"
#include "tune/proposal.h"
#include "tune/sobol.h"

#define MOST_STARTS 6
#define MOST_INCUMBENTS 3
/* Up to so many rows a candidate costs next to nothing, and more of them are looked at. */
#define SMALL_MODEL 64
#define FIRST_STEP 0.15
#define SHRINK 0.55
#define MARGIN                                                                                     \
	0.01 /* an improvement that counts, in standard deviations of the losses (Lizotte, 2008) */

bool
hb_gp_axes_init(HbGpAxes *axes, const HbHost *host, const HbSpace *space, HbStatus *status)
{
	*axes = (HbGpAxes){0};
	axes->params = hb_alloc(host, space->nparams * sizeof(int));
	axes->category = hb_alloc(host, space->nparams * sizeof(bool));
	if (!axes->params || !axes->category)
		return hb_fail_memory(status, space->nparams * sizeof(int));
	for (int p = 0; p < space->nparams; p++)
	{
		bool is_free = false;

		for (int c = 0; c < space->params[p].ncases; c++)
		{
			const HbDist *dist = &space->params[p].cases[c];

			is_free |= hb_dist_is_free(dist);
			axes->category[axes->d] |= !hb_dist_is_number(dist) && hb_dist_is_free(dist);
		}
		if (is_free)
			axes->params[axes->d++] = p;
	}
	return true;
}

void
hb_gp_axes_release(HbGpAxes *axes, const HbHost *host)
{
	hb_release(host, axes->params);
	hb_release(host, axes->category);
}

void
hb_gp_encode(const HbGpAxes *axes, const HbSpace *space, const HbDist *const *dists,
			 const double *codes, double *x)
{
	for (int j = 0; j < axes->d; j++)
	{
		int p = axes->params[j];

		if (!dists[p])
			x[j] = NAN;
		else if (hb_dist_is_number(dists[p]) && !axes->category[j])
			x[j] = hb_dist_coordinate(dists[p], codes[p]);
		else /* choices of different cases differ */
			x[j] = codes[p] + 0x1p20 * (double) (dists[p] - space->params[p].cases);
	}
}

typedef struct Effort
{
	uint32_t candidates; /* of the global search */
	int starts;          /* the best of them, kept in order */
	int incumbents;
	int rounds;
	int steps; /* a round */
} Effort;

static const Effort thorough = {512, MOST_STARTS, MOST_INCUMBENTS, 10, 12};
static const Effort thrifty = {256, 3, 2, 8, 10};

typedef struct Search
{
	const Effort *effort;
	const HbGp *gp;
	const HbGpAxes *axes;
	const HbSampleRequest *request;
	double best;
	HbPoint *point; /* scratch */
	double *u;      /* the candidate at hand */
	double *x;
	double *scratch;
	double *starts; /* MOST_STARTS + MOST_INCUMBENTS candidates */
	double values[MOST_STARTS + 1 + MOST_INCUMBENTS];
	int nstarts;
	double *chosen; /* the best new candidate so far */
	double chosen_value;
	uint32_t draws;
} Search;

static double
next_uniform(Search *search)
{
	return hb_random_uniform(search->request->seed, HB_STREAM_GP, search->request->number,
							 search->draws++);
}

static double
draw_component(void *context, int param, const HbDist *dist)
{
	return ((const double *) context)[param];
}

/* Turns the candidate into a configuration (in point) and judges it. */
static double
judge(Search *search)
{
	const HbSpace *space = search->request->space;
	double mean;
	double variance;

	hb_point_draw(search->point, draw_component, search->u);
	hb_gp_encode(search->axes, space, search->point->dists, search->point->codes, search->x);
	hb_gp_predict(search->gp, search->x, search->scratch, &mean, &variance);
	return 0.5 * log(variance) +
		   hb_normal_log_improvement((search->best - MARGIN - mean) / sqrt(variance));
}

/* Takes the candidate where it is better than any before, and new. */
static bool
consider(Search *search, double value, HbStatus *status)
{
	bool known;

	if (!(value > search->chosen_value))
		return true;
	if (!hb_proposal_known(search->request, search->point, &known, status))
		return false;
	if (!known)
	{
		search->chosen_value = value;
		memcpy(search->chosen, search->u, search->request->space->nparams * sizeof(double));
	}
	return true;
}

/* Keeps the candidate among the starts of the local search, the best first. */
static void
keep_start(Search *search, double value)
{
	int n = search->request->space->nparams;
	int at = search->nstarts;

	while (at > 0 && search->values[at - 1] < value)
		at--;
	if (at == search->effort->starts)
		return;
	if (search->nstarts < search->effort->starts)
		search->nstarts++;
	memmove(search->values + at + 1, search->values + at,
			(search->nstarts - 1 - at) * sizeof(double));
	memmove(search->starts + (size_t) (at + 1) * n, search->starts + (size_t) at * n,
			(size_t) (search->nstarts - 1 - at) * n * sizeof(double));
	search->values[at] = value;
	memcpy(search->starts + (size_t) at * n, search->u, n * sizeof(double));
}

static bool
search_globally(Search *search, HbStatus *status)
{
	const HbSpace *space = search->request->space;

	for (uint32_t i = 0; i < search->effort->candidates; i++)
	{
		double value;

		for (int p = 0; p < space->nparams; p++)
			search->u[p] = hb_sobol_scrambled(
				search->request->seed,
				hb_hash64(&search->request->number, sizeof(int64_t), space->params[p].name_hash), p,
				i);
		value = judge(search);
		if (!consider(search, value, status))
			return false;
		keep_start(search, value);
	}
	return true;
}

/* An earlier configuration as a start, parameters that are inactive in it at random. */
static void
add_incumbent(Search *search, const HbObserved *observed, int row)
{
	int n = search->request->space->nparams;
	HbPoint *point = search->point;

	hb_observed_point(observed, row, point);
	for (int p = 0; p < n; p++)
	{
		const HbDist *dist = point->dists[p];

		if (!dist)
			search->u[p] = next_uniform(search);
		else if (hb_dist_is_number(dist))
			search->u[p] = hb_dist_coordinate(dist, point->codes[p]);
		else
			search->u[p] = (point->codes[p] + 0.5) / dist->nchoices;
	}
	search->values[search->nstarts] = judge(search);
	memcpy(search->starts + (size_t) search->nstarts++ * n, search->u, n * sizeof(double));
}

static double
reflect(double u)
{
	u = fabs(u);
	u = u > 1 ? 2 - u : u;
	return fmin(fmax(u, 0), 1);
}

/* Changes two components on average, at least one. */
static void
step(Search *search, const double *from, double size)
{
	const HbGpAxes *axes = search->axes;
	int always = (int) (next_uniform(search) * axes->d);

	memcpy(search->u, from, search->request->space->nparams * sizeof(double));
	for (int j = 0; j < axes->d; j++)
	{
		double *u = &search->u[axes->params[j]];
		bool changes = next_uniform(search) * axes->d < 1;
		double draw = next_uniform(search);

		if (!changes && j != always)
			continue;
		if (axes->category[j])
			*u = draw;
		else
			*u = reflect(*u + size * hb_normal_quantile(fmin(fmax(draw, 1e-12), 1 - 1e-12)));
	}
}

static bool
search_locally(Search *search, double *start, double value, HbStatus *status)
{
	double size = FIRST_STEP;

	for (int round = 0; round < search->effort->rounds; round++, size *= SHRINK)
		for (int i = 0; i < search->effort->steps; i++)
		{
			double next;

			step(search, start, size);
			next = judge(search);
			if (!consider(search, next, status))
				return false;
			if (!(next > value))
				continue;
			value = next;
			memcpy(start, search->u, search->request->space->nparams * sizeof(double));
		}
	return true;
}

static bool
allocate(Search *search, double **block, HbStatus *status)
{
	size_t n = search->request->space->nparams;
	size_t count = n * (MOST_STARTS + 1 + MOST_INCUMBENTS + 2) + search->axes->d + search->gp->n;
	double *at = hb_alloc(search->request->host, count * sizeof(double));

	*block = at;
	if (!at)
		return hb_fail_memory(status, count * sizeof(double));
	search->u = at;
	search->chosen = at + n;
	search->starts = at + 2 * n;
	search->x = search->starts + n * (MOST_STARTS + 1 + MOST_INCUMBENTS);
	search->scratch = search->x + search->axes->d;
	return true;
}

bool
hb_gp_search(const HbGp *gp, const HbGpAxes *axes, const HbSampleRequest *request, double best,
			 const HbObserved *observed, const int *order, HbPoint *point, bool *found,
			 HbStatus *status)
{
	Search search = {.effort = gp->n <= SMALL_MODEL ? &thorough : &thrifty,
					 .gp = gp,
					 .axes = axes,
					 .request = request,
					 .best = best,
					 .point = point,
					 .chosen_value = -INFINITY};
	int n = request->space->nparams;
	double *block;
	bool done;

	if (!allocate(&search, &block, status))
		return false;
	done = search_globally(&search, status);
	for (int i = 0; done && i < observed->n && i < search.effort->incumbents; i++)
		add_incumbent(&search, observed, order[i]);
	for (int i = 0; done && i < search.nstarts; i++)
		done = search_locally(&search, search.starts + (size_t) i * n, search.values[i], status);
	*found = search.chosen_value > -INFINITY;
	if (done && *found)
		hb_point_draw(point, draw_component, search.chosen);
	hb_release(request->host, block);
	return done;
}
