/*
 * proposal.c - independent draws, and the rule that no configuration comes twice where the space has another
 */
#include "tune/proposal.h"

#include "core/rng.h"
#include "tune/lattice.h"
#include "tune/sobol.h"

#define REDRAWS 64
#define WALK_LIMIT 1000000 /* a walk needs one more step than there are earlier trials, at most */

bool
hb_check_number(const HbSampleRequest *request, HbStatus *status)
{
	if (request->number < 0 || request->number > UINT32_MAX)
		return hb_fail(status, HB_ERR_OUT_OF_RANGE, "trial number %lld is out of range",
					   (long long) request->number);
	return true;
}

typedef struct RandomDraw
{
	const HbSampleRequest *request;
	int attempt;
} RandomDraw;

static double
draw_random(void *context, int param, const HbDist *dist)
{
	const RandomDraw *draw = context;
	const HbSampleRequest *request = draw->request;
	uint64_t key = request->space->params[param].name_hash;

	if (draw->attempt > 0)
		key = hb_hash64(&draw->attempt, sizeof(draw->attempt), key);
	return hb_random_uniform(request->seed, HB_STREAM_SPACE, key, (uint32_t) request->number);
}

void
hb_random_point(const HbSampleRequest *request, int attempt, HbPoint *point)
{
	RandomDraw draw = {request, attempt};

	hb_point_draw(point, draw_random, &draw);
}

bool
hb_proposal_known(const HbSampleRequest *request, const HbPoint *point, bool *known,
				  HbStatus *status)
{
	*known = false;
	if (request->seen)
	{
		HbJson *config = hb_point_config(point, request->host, status);

		if (!config)
			return false;
		*known = request->seen(request->seen_context, config);
		return true;
	}
	for (int i = 0; i < request->nobservations && !*known; i++)
		*known = request->observations[i].number > 0 &&
				 hb_point_equals(point, request->observations[i].config);
	for (int i = 0; i < request->npending && !*known; i++)
		*known = hb_point_equals(point, request->pending[i]);
	return true;
}

/* The first new configuration of a finite space, in the order of its numbers from a seeded one on. */
static bool
walk(const HbSampleRequest *request, HbPoint *point, HbStatus *status)
{
	HbLattice lattice;
	bool usable;
	bool known = true;

	if (!hb_lattice_init(&lattice, request->host, request->space, HB_LATTICE_ALL, &usable, status))
		return false;
	if (usable && lattice.total < HB_LATTICE_MAX)
	{
		uint64_t start =
			hb_permuted(request->seed, (uint64_t) request->number % lattice.total, lattice.total);

		for (uint64_t i = 0; known && i < lattice.total && i < WALK_LIMIT; i++)
		{
			hb_lattice_point(&lattice, (start + i) % lattice.total, point);
			if (!hb_proposal_known(request, point, &known, status))
				return false;
		}
	}
	hb_lattice_release(&lattice);
	return true;
}

bool
hb_proposal_renew(const HbSampleRequest *request, HbPoint *point, HbStatus *status)
{
	bool known;

	if (!hb_proposal_known(request, point, &known, status))
		return false;
	for (int attempt = 1; known && attempt <= REDRAWS; attempt++)
	{
		hb_random_point(request, attempt, point);
		if (!hb_proposal_known(request, point, &known, status))
			return false;
	}
	return !known || walk(request, point, status);
}

bool
hb_propose_random(const HbSampleRequest *request, HbPoint *point, HbStatus *status)
{
	hb_random_point(request, 0, point);
	return hb_proposal_renew(request, point, status);
}

HbJson *
hb_propose(const HbSampleRequest *request,
		   bool (*propose)(const HbSampleRequest *request, HbPoint *point, HbStatus *status),
		   HbStatus *status)
{
	HbJson *config = NULL;
	HbPoint point;

	if (!hb_check_number(request, status) ||
		!hb_point_init(&point, request->host, request->space, status))
		return NULL;
	if (propose(request, &point, status))
		config = hb_point_config(&point, request->host, status);
	hb_point_release(&point, request->host);
	return config;
}

bool
hb_propose_spread(const HbSampleRequest *request, HbPoint *point, HbStatus *status)
{
	hb_point_draw(point, hb_proposal_sobol, (void *) request);
	return hb_proposal_renew(request, point, status);
}

double
hb_proposal_sobol(void *context, int param, const HbDist *dist)
{
	const HbSampleRequest *request = context;
	int64_t index = request->number - request->warm_trials - 1;

	return hb_sobol_scrambled(request->seed, request->space->params[param].name_hash, param,
							  (uint32_t) (index > 0 ? index : 0));
}
