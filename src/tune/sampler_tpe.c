/*
 * sampler_tpe.c - tree-structured Parzen estimators
 *
 * Bergstra et al., NIPS 2011 and ICML 2013, as Optuna defines them: ten start-up trials, then the best
 * min(ceil(n/10), 25) results form the density l, the others g, and of 24 draws from l the one with the largest l/g
 * is proposed.  Parameters that are active in the same circumstances are modelled together; those of a condition
 * from the results in which it held.  Pending trials count among the others, so that a batch spreads.
 *
 * With several resource levels as BOHB does (Falkner, Klein and Hutter, ICML 2018): results at the largest level
 * that has enough, the best 15 % form l, every third trial is no model's, and candidates are drawn from kernels wider
 * than those of l.  Draws four times as wide (BOHB: three, of narrower kernels), no less than three results in l (BOHB:
 * d + 1, mostly mediocre ones where a rung has few), and a Sobol' sequence in place of independent draws together lowered
 * the regret on recorded curves.  Kernels as wide as Optuna's crowd the few trials of a rung around what won at little
 * resource.
 */
#include <math.h>

#include "tune/proposal.h"
#include "tune/tpe_parzen.h"

#define STARTUP_TRIALS 10
#define CANDIDATES 24
#define TOP_FRACTION 0.1
#define MOST_BELOW 25
#define MULTI_FIDELITY_TOP_FRACTION 0.15
#define MULTI_FIDELITY_LEAST_BELOW 3
#define MULTI_FIDELITY_WIDENING 4
#define REDRAWS 32

typedef struct Tpe
{
	const HbSampleRequest *request;
	const HbObserved *observed;
	bool *below;         /* by row; pending rows are not */
	int *rows;           /* scratch of the size of below */
	HbParzenSpace space; /* the parameters at hand */
	double *codes;
	double *best_codes;
	double *scratch;
	bool *done; /* by parameter */
} Tpe;

static int
count_below(const HbSampleRequest *request, const HbObserved *observed)
{
	int n = observed->n;
	int finite = 0;
	double below = fmin(ceil(TOP_FRACTION * n), MOST_BELOW);

	if (request->multi_fidelity)
		below = fmax(MULTI_FIDELITY_LEAST_BELOW, floor(MULTI_FIDELITY_TOP_FRACTION * n));
	for (int i = 0; i < n; i++)
		finite += observed->losses[i] < INFINITY;
	return (int) fmin(below, finite);
}

static bool
split(Tpe *tpe, HbStatus *status)
{
	int below = count_below(tpe->request, tpe->observed);

	if (!hb_observed_rank(tpe->observed, tpe->request->host, tpe->rows, status))
		return false;
	for (int i = 0; i < below; i++)
		tpe->below[tpe->rows[i]] = true;
	return true;
}

static bool
same_conditions(const HbDist *a, const HbDist *b)
{
	if (a->nconditions != b->nconditions)
		return false;
	for (int i = 0; i < a->nconditions; i++)
	{
		const HbCondition *x = &a->conditions[i];
		const HbCondition *y = &b->conditions[i];

		if (x->parent != y->parent || x->nvalues != y->nvalues)
			return false;
		for (int v = 0; v < x->nvalues; v++)
			if (!hb_json_equal(x->values[v], y->values[v]))
				return false;
	}
	return true;
}

/* Whether this case of the one parameter and that of the other hold under the same values of their parents. */
static bool
same_circumstances(const HbSpaceParam *a, const HbDist *case_a, const HbSpaceParam *b,
				   const HbDist *case_b)
{
	if (case_a - a->cases != case_b - b->cases)
		return false;
	for (int c = 0; c <= case_a - a->cases; c++)
		if (!same_conditions(&a->cases[c], &b->cases[c]))
			return false;
	return true;
}

/* The free parameters from position k of the order on that are active together with the one there. */
static void
gather(Tpe *tpe, int k, const HbDist *dist)
{
	const HbSpace *space = tpe->request->space;
	const HbSpaceParam *first = &space->params[space->order[k]];

	tpe->space.n = 0;
	for (; k < space->nparams; k++)
	{
		int param = space->order[k];
		const HbSpaceParam *declared = &space->params[param];
		int c = (int) (dist - first->cases);

		if (tpe->done[param] || c >= declared->ncases || !hb_dist_is_free(&declared->cases[c]) ||
			!same_circumstances(first, dist, declared, &declared->cases[c]))
			continue;
		tpe->done[param] = true;
		tpe->space.params[tpe->space.n] = param;
		tpe->space.dists[tpe->space.n++] = &declared->cases[c];
	}
}

/* Rows of the better or the other results in which the parameters at hand are active. */
static int
select_rows(Tpe *tpe, bool below)
{
	const HbObserved *observed = tpe->observed;
	int n = 0;

	for (int row = 0; row < observed->n + observed->npending; row++)
	{
		const HbDist **dists = &observed->dists[(size_t) row * observed->nparams];
		bool active = tpe->below[row] == below;

		for (int d = 0; active && d < tpe->space.n; d++)
			active = dists[tpe->space.params[d]] == tpe->space.dists[d];
		if (active)
			tpe->rows[n++] = row;
	}
	return n;
}

/* The parameters at hand, from the draw of l that has the largest l/g. */
static bool
choose(Tpe *tpe, HbDraws *draws, HbStatus *status)
{
	const HbHost *host = tpe->request->host;
	double widening = tpe->request->multi_fidelity ? MULTI_FIDELITY_WIDENING : 1;
	double best = -INFINITY;
	HbParzen below = {0};
	HbParzen above = {0};
	bool built = hb_parzen_init(&below, host, &tpe->space, tpe->observed, tpe->rows,
								select_rows(tpe, true), status) &&
				 hb_parzen_init(&above, host, &tpe->space, tpe->observed, tpe->rows,
								select_rows(tpe, false), status);

	for (int i = 0; built && i < CANDIDATES; i++)
	{
		double score;

		hb_parzen_draw(&below, draws, widening, tpe->codes);
		score = hb_parzen_log_density(&below, tpe->codes, tpe->scratch) -
				hb_parzen_log_density(&above, tpe->codes, tpe->scratch);
		if (i > 0 && !(score > best))
			continue;
		best = score;
		for (int d = 0; d < tpe->space.n; d++)
			tpe->best_codes[d] = tpe->codes[d];
	}
	hb_parzen_release(&below, host);
	hb_parzen_release(&above, host);
	return built;
}

/* One proposal, group by group, parents first. */
static bool
draw_point(Tpe *tpe, HbPoint *point, int attempt, HbStatus *status)
{
	const HbSampleRequest *request = tpe->request;
	const HbSpace *space = request->space;
	HbDraws draws = {request->seed, (uint64_t) request->number << 8 | attempt, HB_STREAM_TPE, 0};

	for (int i = 0; i < space->nparams; i++)
	{
		tpe->done[i] = false;
		hb_point_clear(point, i);
	}
	for (int k = 0; k < space->nparams; k++)
	{
		int param = space->order[k];
		const HbDist *dist;

		if (tpe->done[param] || !(dist = hb_space_active(space, param, point->values)))
			continue;
		if (!hb_dist_is_free(dist))
		{
			hb_point_set(point, param, dist, hb_dist_is_number(dist) ? dist->low : 0);
			continue;
		}
		gather(tpe, k, dist);
		if (!choose(tpe, &draws, status))
			return false;
		for (int d = 0; d < tpe->space.n; d++)
			hb_point_set(point, tpe->space.params[d], tpe->space.dists[d], tpe->best_codes[d]);
	}
	return true;
}

static bool
draw_new_point(Tpe *tpe, HbPoint *point, HbStatus *status)
{
	bool known = true;

	for (int attempt = 0; known && attempt < REDRAWS; attempt++)
		if (!draw_point(tpe, point, attempt, status) ||
			!hb_proposal_known(tpe->request, point, &known, status))
			return false;
	return !known || hb_proposal_renew(tpe->request, point, status);
}

static bool
allocate(Tpe *tpe, HbStatus *status)
{
	const HbHost *host = tpe->request->host;
	size_t n = tpe->request->space->nparams;
	size_t rows = (size_t) tpe->observed->n + tpe->observed->npending;

	tpe->below = hb_alloc(host, rows * sizeof(bool));
	tpe->rows = hb_alloc(host, rows * sizeof(int));
	tpe->scratch = hb_alloc(host, (rows + 1) * sizeof(double));
	tpe->codes = hb_alloc(host, n * sizeof(double));
	tpe->best_codes = hb_alloc(host, n * sizeof(double));
	tpe->done = hb_alloc(host, n * sizeof(bool));
	tpe->space.params = hb_alloc(host, n * sizeof(int));
	tpe->space.dists = hb_alloc(host, n * sizeof(*tpe->space.dists));
	if (tpe->below && tpe->rows && tpe->scratch && tpe->codes && tpe->best_codes && tpe->done &&
		tpe->space.params && tpe->space.dists)
		return true;
	return hb_fail_memory(status, (rows + n) * sizeof(double));
}

static void
release(Tpe *tpe)
{
	const HbHost *host = tpe->request->host;

	hb_release(host, tpe->below);
	hb_release(host, tpe->rows);
	hb_release(host, tpe->scratch);
	hb_release(host, tpe->codes);
	hb_release(host, tpe->best_codes);
	hb_release(host, tpe->done);
	hb_release(host, tpe->space.params);
	hb_release(host, tpe->space.dists);
}

/* Too few results, or a trial that is to be random. */
static bool
is_random(const HbSampleRequest *request, const HbObserved *observed)
{
	return observed->n < (request->multi_fidelity ? 1 : STARTUP_TRIALS) ||
		   count_below(request, observed) == 0 || hb_observed_skips_model(request, HB_STREAM_TPE);
}

static bool
propose_tpe(const HbSampleRequest *request, HbPoint *point, HbStatus *status)
{
	HbObserved observed;
	Tpe tpe = {.request = request, .observed = &observed};
	bool done;

	if (!hb_observed_init(&observed, request, status))
		return false;
	if (is_random(request, &observed))
		done = request->multi_fidelity ? hb_propose_spread(request, point, status)
									   : hb_propose_random(request, point, status);
	else
	{
		done = allocate(&tpe, status) && split(&tpe, status) && draw_new_point(&tpe, point, status);
		release(&tpe);
	}
	hb_observed_release(&observed, request->host);
	return done;
}

static HbJson *
sample_tpe(const HbSampleRequest *request, HbStatus *status)
{
	return hb_propose(request, propose_tpe, status);
}

extern const HbSampler hb_sampler_tpe;
const HbSampler hb_sampler_tpe = {
	.name = "tpe",
	.description = "tree-structured Parzen estimators fitted to earlier results",
	.learns = true,
	.available = true,
	.sample = sample_tpe,
};
