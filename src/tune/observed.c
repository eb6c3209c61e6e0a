/*
 * observed.c - chooses the results to be modelled and turns them into arrays
 */
#include "tune/observed.h"

#include <math.h>
#include <stdlib.h>

#define RANDOM_FRACTION (1.0 / 3.0) /* BOHB's rho */

/* What a pass over the observations finds out about each. */
typedef struct Candidate
{
	int index;
	int dimensions; /* -1: no configuration of the space */
} Candidate;

static int
free_dimensions(const HbPoint *point)
{
	int count = 0;

	for (int i = 0; i < point->space->nparams; i++)
		count += point->dists[i] && hb_dist_is_free(point->dists[i]);
	return count;
}

static void
scan(const HbSampleRequest *request, HbPoint *point, Candidate *candidates)
{
	for (int i = 0; i < request->nobservations; i++)
	{
		bool readable = hb_point_read(point, request->observations[i].config);

		candidates[i] = (Candidate){i, readable ? free_dimensions(point) : -1};
	}
}

/* Keeps the observations at resource; returns how many, 0 without a finite loss, and their largest dimension. */
static int
keep_resource(const HbSampleRequest *request, const Candidate *candidates, int64_t resource,
			  int *kept, int *dimensions)
{
	bool finite = false;
	int n = 0;

	*dimensions = 0;
	for (int i = 0; i < request->nobservations; i++)
	{
		if (candidates[i].dimensions < 0 || request->observations[i].resource != resource)
			continue;
		if (candidates[i].dimensions > *dimensions)
			*dimensions = candidates[i].dimensions;
		finite |= isfinite(request->observations[i].loss) != 0;
		kept[n++] = i;
	}
	return finite ? n : 0;
}

/* The next smaller resource level; below every one, 0 or less comes out as INT64_MIN. */
static int64_t
next_resource(const HbSampleRequest *request, int64_t below)
{
	int64_t largest = INT64_MIN;

	for (int i = 0; i < request->nobservations; i++)
		if (request->observations[i].resource < below &&
			request->observations[i].resource > largest)
			largest = request->observations[i].resource;
	return largest;
}

static int
choose_level(const HbSampleRequest *request, const Candidate *candidates, int *kept,
			 int *dimensions)
{
	int64_t resource = next_resource(request, INT64_MAX);

	while (resource != INT64_MIN)
	{
		int n = keep_resource(request, candidates, resource, kept, dimensions);

		if (n >= *dimensions + HB_MODEL_RESULTS)
			return n;
		resource = next_resource(request, resource);
	}
	return 0;
}

/* Each trial's result at its largest resource. */
static int
choose_last(const HbSampleRequest *request, const Candidate *candidates, int *kept, int *dimensions)
{
	const HbObservation *observations = request->observations;
	int n = 0;

	*dimensions = 0;
	for (int i = 0; i < request->nobservations; i++)
	{
		bool last =
			i + 1 == request->nobservations || observations[i + 1].number != observations[i].number;

		if (!last || candidates[i].dimensions < 0)
			continue;
		if (candidates[i].dimensions > *dimensions)
			*dimensions = candidates[i].dimensions;
		kept[n++] = i;
	}
	return n;
}

static bool
add_row(HbObserved *observed, HbPoint *point, const HbJson *config, int row)
{
	size_t start = (size_t) row * observed->nparams;

	if (!hb_point_read(point, config))
		return false;
	for (int i = 0; i < observed->nparams; i++)
	{
		observed->codes[start + i] = point->codes[i];
		observed->dists[start + i] = point->dists[i];
	}
	return true;
}

static bool
fill(HbObserved *observed, const HbSampleRequest *request, HbPoint *point, const int *kept, int n,
	 HbStatus *status)
{
	const HbHost *host = request->host;
	size_t cells = ((size_t) n + request->npending) * observed->nparams;

	observed->losses = hb_alloc(host, n * sizeof(double));
	observed->codes = hb_alloc(host, cells * sizeof(double));
	observed->dists = hb_alloc(host, cells * sizeof(*observed->dists));
	if (!observed->losses || !observed->codes || !observed->dists)
		return hb_fail_memory(status, cells * sizeof(double));
	for (int i = 0; i < n; i++)
	{
		double loss = request->observations[kept[i]].loss;

		if (!add_row(observed, point, request->observations[kept[i]].config, observed->n))
			continue;
		observed->losses[observed->n++] = isfinite(loss) ? loss : INFINITY;
	}
	for (int i = 0; i < request->npending; i++)
		if (add_row(observed, point, request->pending[i], observed->n + observed->npending))
			observed->npending++;
	return true;
}

bool
hb_observed_init(HbObserved *observed, const HbSampleRequest *request, HbStatus *status)
{
	const HbHost *host = request->host;
	size_t n = request->nobservations;
	Candidate *candidates = hb_alloc(host, n * sizeof(*candidates));
	int *kept = hb_alloc(host, n * sizeof(int));
	HbPoint point;
	int nkept;
	bool done;

	*observed = (HbObserved){.nparams = request->space->nparams};
	if (!candidates || !kept)
		return hb_fail_memory(status, n * sizeof(*candidates));
	if (!hb_point_init(&point, host, request->space, status))
		return false;
	scan(request, &point, candidates);
	nkept = request->multi_fidelity ? choose_level(request, candidates, kept, &observed->dimensions)
									: choose_last(request, candidates, kept, &observed->dimensions);
	done = fill(observed, request, &point, kept, nkept, status);
	hb_point_release(&point, host);
	hb_release(host, candidates);
	hb_release(host, kept);
	return done;
}

void
hb_observed_release(HbObserved *observed, const HbHost *host)
{
	hb_release(host, observed->losses);
	hb_release(host, observed->codes);
	hb_release(host, observed->dists);
	*observed = (HbObserved){0};
}

void
hb_observed_point(const HbObserved *observed, int row, HbPoint *point)
{
	size_t start = (size_t) row * observed->nparams;

	for (int i = 0; i < observed->nparams; i++)
		if (observed->dists[start + i])
			hb_point_set(point, i, observed->dists[start + i], observed->codes[start + i]);
		else
			hb_point_clear(point, i);
}

typedef struct Ranked
{
	double loss;
	int row;
} Ranked;

static int
compare_ranked(const void *left, const void *right)
{
	const Ranked *a = left;
	const Ranked *b = right;

	if (a->loss != b->loss)
		return a->loss < b->loss ? -1 : 1;
	return (a->row > b->row) - (a->row < b->row);
}

bool
hb_observed_rank(const HbObserved *observed, const HbHost *host, int *order, HbStatus *status)
{
	Ranked *ranked = hb_alloc(host, observed->n * sizeof(*ranked));

	if (!ranked)
		return hb_fail_memory(status, observed->n * sizeof(*ranked));
	for (int i = 0; i < observed->n; i++)
		ranked[i] = (Ranked){observed->losses[i], i};
	qsort(ranked, observed->n, sizeof(*ranked), compare_ranked);
	for (int i = 0; i < observed->n; i++)
		order[i] = ranked[i].row;
	hb_release(host, ranked);
	return true;
}

bool
hb_observed_skips_model(const HbSampleRequest *request, HbStream stream)
{
	return request->multi_fidelity &&
		   hb_random_uniform(request->seed, stream, ~UINT64_C(0), (uint32_t) request->number) <
			   RANDOM_FRACTION;
}
