/*
 * sampler_grid.c - every combination of evenly spaced values, in a seeded order
 *
 * A number takes "grid" values (5 by default) from its lower to its upper bound, evenly spaced or, log-scaled, in
 * equal ratios; a discrete one that has no more values than that takes all; a choice takes all.  The points come in
 * a seeded permutation, so that a study with fewer trials than points sees a random part of them.  A point that a
 * warm start has evaluated already is skipped.
 */
#include "core/rng.h"
#include "tune/lattice.h"
#include "tune/proposal.h"

#define DIGIT_INDEX 65536 /* apart from the counters of the permutation's rounds */

static bool
too_many_parents(HbStatus *status)
{
	hb_fail(status, HB_ERR_LIMIT, "grid has too many combinations of conditions");
	return hb_fail_hint(status, "Reduce \"grid\" of parameters that others depend on.");
}

static bool
no_proposal_left(const HbSampleRequest *request, uint64_t total, HbStatus *status)
{
	if (request->exhausted)
		*request->exhausted = true;
	hb_fail(status, HB_ERR_INVALID_PARAMETER, "all %llu points of the grid have been proposed",
			(unsigned long long) total);
	return hb_fail_hint(status, "Increase \"grid\" of a parameter, or run fewer trials.");
}

/* The first point at or after the trial's place in the permutation that no trial has. */
static bool
place_in_order(const HbSampleRequest *request, HbLattice *lattice, HbPoint *point, HbStatus *status)
{
	int64_t place = request->number - request->warm_trials - 1;

	for (uint64_t i = place > 0 ? place : 0; i < lattice->total; i++)
	{
		bool known;

		hb_lattice_point(lattice, hb_permuted(request->seed, i, lattice->total), point);
		if (!hb_proposal_known(request, point, &known, status))
			return false;
		if (!known)
			return true;
	}
	return no_proposal_left(request, lattice->total, status);
}

typedef struct DigitDraw
{
	const HbSampleRequest *request;
	uint32_t attempt;
} DigitDraw;

static uint64_t
random_digit(void *context, int component, uint64_t count)
{
	const DigitDraw *draw = context;
	double u = hb_random_uniform(draw->request->seed, HB_STREAM_GRID,
								 (uint64_t) draw->attempt << 32 | (uint32_t) draw->request->number,
								 DIGIT_INDEX + (uint32_t) component);
	uint64_t digit = (uint64_t) (u * (double) count);

	return digit < count ? digit : count - 1;
}

/* A grid of 2^62 points and more is not numbered: independent draws hardly ever meet. */
static bool
place_at_random(const HbSampleRequest *request, HbLattice *lattice, HbPoint *point,
				HbStatus *status)
{
	DigitDraw draw = {request, 1};
	bool known = true;

	for (; known && draw.attempt < 64; draw.attempt++)
	{
		hb_lattice_point_by(lattice, random_digit, &draw, point);
		if (!hb_proposal_known(request, point, &known, status))
			return false;
	}
	return true;
}

static bool
propose_grid(const HbSampleRequest *request, HbPoint *point, HbStatus *status)
{
	HbLattice lattice;
	bool usable;
	bool done = false;

	if (hb_lattice_init(&lattice, request->host, request->space, HB_LATTICE_GRID, &usable, status))
	{
		if (!usable)
			done = too_many_parents(status);
		else if (lattice.total < HB_LATTICE_MAX)
			done = place_in_order(request, &lattice, point, status);
		else
			done = place_at_random(request, &lattice, point, status);
	}
	hb_lattice_release(&lattice);
	return done;
}

static HbJson *
sample_grid(const HbSampleRequest *request, HbStatus *status)
{
	return hb_propose(request, propose_grid, status);
}

static bool
limit_grid(const HbHost *host, const HbSpace *space, int64_t *proposals, HbStatus *status)
{
	HbLattice lattice;
	bool usable;
	bool done = hb_lattice_init(&lattice, host, space, HB_LATTICE_GRID, &usable, status);

	if (done && !usable)
		done = too_many_parents(status);
	*proposals = lattice.total < HB_LATTICE_MAX ? (int64_t) lattice.total : INT64_MAX;
	hb_lattice_release(&lattice);
	return done;
}

extern const HbSampler hb_sampler_grid;
const HbSampler hb_sampler_grid = {
	.name = "grid",
	.description = "every combination of evenly spaced values, in a seeded order",
	.available = true,
	.sample = sample_grid,
	.limit = limit_grid,
};
