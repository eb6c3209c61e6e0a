/*
 * plan.c - bracket arithmetic of Hyperband (Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar, JMLR 18-185)
 *
 * Everything is exact integer arithmetic: log(243)/log(3) is 4.999... in doubles and would lose a bracket.
 * Products are formed in 128 bits and compared with what 64 hold.
 */
#include "tune/plan_build.h"

#include <stdio.h>

typedef HbWide Wide;

/* Brackets and rungs take memory, so many fewer of them than of trials are allowed. */
#define MAX_BRACKETS 1000000
#define MAX_RUNGS 1000000

/* One plan before it is repeated or cut. */
typedef struct Base
{
	int s_max;
	Wide trials;
	Wide cost;
} Base;

/* Totals of the plan that a request asks for. */
typedef struct Totals
{
	int64_t brackets;
	int64_t trials;
	int64_t cost;
} Totals;

static bool
check_numbers(const HbPlanRequest *request, HbStatus *status)
{
	if (request->eta < 2)
		return hb_fail(status, HB_ERR_INVALID_PARAMETER, "\"eta\" must be at least 2");
	if (request->min_resource < 1)
		return hb_fail(status, HB_ERR_INVALID_PARAMETER, "\"min_resource\" must be at least 1");
	if (request->infinite)
		return hb_fail(status, HB_ERR_INVALID_PARAMETER, "\"max_resource\" must be given");
	if (request->max_resource < request->min_resource)
		return hb_fail(status, HB_ERR_INVALID_PARAMETER,
					   "\"max_resource\" must be at least \"min_resource\"");
	if (request->n_trials < 0)
		return hb_fail(status, HB_ERR_INVALID_PARAMETER, "\"n_trials\" must be at least 1");
	if (request->batch < 0)
		return hb_fail(status, HB_ERR_INTERNAL, "batch of trials must not be negative");
	return true;
}

/* "9e18": one digit is enough to see that no machine will do it. */
bool
hb_plan_too_large(HbWide amount, const char *unit, HbStatus *status)
{
	int exponent = 0;

	while (amount >= 10)
	{
		amount /= 10;
		exponent++;
	}
	return hb_fail(status, HB_ERR_OUT_OF_RANGE, "study would need %de%d %s", (int) amount, exponent,
				   unit);
}

/* floor(log_eta(R/min)): nested floors of quotients equal the floor of the whole quotient. */
static int
largest_bracket(const HbPlanRequest *request)
{
	int64_t quotient = request->max_resource / request->min_resource;
	int s = 0;

	for (; quotient >= request->eta; quotient /= request->eta)
		s++;
	return s;
}

/* eta^s, at most R/min for every bracket of the plan. */
static int64_t
power(int64_t eta, int s)
{
	int64_t result = 1;

	while (s-- > 0)
		result *= eta;
	return result;
}

/* Trials that bracket s starts with. */
static Wide
bracket_size(const HbPlanRequest *request, int s_max, int s)
{
	Wide start = power(request->eta, s);

	if (request->ceil)
		return (start * (s_max + 1) + s) / (s + 1);
	return start * ((s_max + 1) / (s + 1));
}

static int64_t
rung_resource(const HbPlanRequest *request, int s, int rung)
{
	int64_t resource = request->max_resource / power(request->eta, s - rung);

	return resource > request->min_resource ? resource : request->min_resource;
}

static Wide
survivors(Wide trials, int64_t eta)
{
	return trials / eta > 1 ? trials / eta : 1;
}

/* Resource that bracket s needs for so many trials, each going on from its checkpoint. */
static Wide
bracket_cost(const HbPlanRequest *request, int s, Wide trials)
{
	Wide cost = 0;
	int64_t reached = 0;

	for (int rung = 0; rung <= s; rung++)
	{
		int64_t resource = rung_resource(request, s, rung);

		cost += trials * (resource - reached);
		reached = resource;
		trials = survivors(trials, request->eta);
	}
	return cost;
}

/*
 * One plan.  A bracket holds at most 64 * 2^63 trials and costs at most 64 times as much a unit of resource; the
 * check after each bracket keeps the sums within 128 bits.
 */
static bool
base_plan(const HbPlanRequest *request, Base *base, HbStatus *status)
{
	base->s_max = largest_bracket(request);
	base->trials = 0;
	base->cost = 0;
	for (int s = base->s_max; s >= 0; s--)
	{
		Wide trials = bracket_size(request, base->s_max, s);

		base->trials += trials;
		/* each trial takes at least a unit, so this many trials overflow the cost, too */
		if (trials > INT64_MAX)
			return hb_plan_too_large(trials, "units of training", status);
		base->cost += bracket_cost(request, s, trials);
	}
	return true;
}

static bool
check_totals(Wide brackets, Wide trials, Wide cost, HbStatus *status)
{
	if (cost > INT64_MAX)
		return hb_plan_too_large(cost, "units of training", status);
	if (trials > HB_PLAN_MAX_TRIALS)
		return hb_plan_too_large(trials, "trials", status);
	if (brackets > MAX_BRACKETS)
		return hb_plan_too_large(brackets, "brackets", status);
	return true;
}

/* Whole repetitions of the plan, then its leading brackets, the last one cut. */
static bool
hyperband_totals(const HbPlanRequest *request, Totals *totals, HbStatus *status)
{
	Base base;
	Wide repetitions = 1;
	Wide left = 0;
	Wide brackets;
	Wide cost;

	if (!check_numbers(request, status) || !base_plan(request, &base, status))
		return false;
	if (request->n_trials > 0)
	{
		repetitions = request->n_trials / base.trials;
		left = request->n_trials % base.trials;
	}
	/* a base above 64 bits is refused before it is multiplied */
	if (repetitions > 0 && base.cost > INT64_MAX)
		return hb_plan_too_large(base.cost, "units of training", status);
	brackets = repetitions * (base.s_max + 1);
	cost = repetitions > 0 ? repetitions * base.cost : 0;
	for (int s = base.s_max; s >= 0 && left > 0; s--)
	{
		Wide trials = bracket_size(request, base.s_max, s);

		trials = trials < left ? trials : left;
		cost += bracket_cost(request, s, trials);
		left -= trials;
		brackets++;
	}
	totals->trials = (int64_t) (request->n_trials > 0 ? request->n_trials : base.trials);
	if (!check_totals(brackets, request->n_trials > 0 ? (Wide) request->n_trials : base.trials,
					  cost, status))
		return false;
	totals->brackets = (int64_t) brackets;
	totals->cost = (int64_t) cost;
	return true;
}

bool
hb_plan_check(const HbPlanRequest *request, HbStatus *status)
{
	Totals totals;

	if (request->infinite)
		return hb_plan_check_infinite(request, status);
	return hyperband_totals(request, &totals, status);
}

static bool
allocate_plan(const HbHost *host, const HbPlanRequest *request, int64_t brackets, HbPlan *plan,
			  HbStatus *status)
{
	size_t size = (size_t) brackets * sizeof(HbPlanBracket);

	plan->nbrackets = (int) brackets;
	plan->trials = 0;
	plan->cost = 0;
	plan->eta = request->eta;
	plan->rounds = 0;
	plan->min_pulls = 0;
	plan->brackets = hb_alloc(host, size);
	return plan->brackets != NULL || hb_fail_memory(status, size);
}

static bool
build_bracket(const HbHost *host, const HbPlanRequest *request, int s, int64_t trials,
			  HbPlanBracket *bracket, HbStatus *status)
{
	size_t size = (s + 1) * sizeof(HbPlanRung);

	bracket->trials = trials;
	bracket->nrungs = s + 1;
	bracket->rungs = hb_alloc(host, size);
	if (!bracket->rungs)
		return hb_fail_memory(status, size);
	for (int rung = 0; rung <= s; rung++)
	{
		bracket->rungs[rung].trials = trials;
		bracket->rungs[rung].resource = rung_resource(request, s, rung);
		trials = (int64_t) survivors(trials, request->eta);
	}
	return true;
}

bool
hb_plan_hyperband(const HbHost *host, const HbPlanRequest *request, HbPlan *plan, HbStatus *status)
{
	Totals totals;
	int s_max;

	if (request->infinite)
		return hb_plan_first_infinite(host, request, plan, status);
	if (!hyperband_totals(request, &totals, status) ||
		!allocate_plan(host, request, totals.brackets, plan, status))
		return false;
	s_max = largest_bracket(request);
	for (int i = 0; i < plan->nbrackets; i++)
	{
		HbPlanBracket *bracket = &plan->brackets[i];
		int s = s_max - i % (s_max + 1);
		int64_t trials = (int64_t) bracket_size(request, s_max, s);
		int64_t left = totals.trials - plan->trials;

		trials = trials < left ? trials : left;
		bracket->bracket = s + i / (s_max + 1) * (s_max + 1);
		bracket->first_number = plan->trials + 1;
		bracket->wave = request->batch > 0 ? i : 0;
		if (!build_bracket(host, request, s, trials, bracket, status))
			return false;
		plan->trials += trials;
	}
	plan->cost = totals.cost;
	return true;
}

/* One bracket holds all; with batches, as many brackets as there are batches. */
static bool
build_full(const HbHost *host, const HbPlanRequest *request, int64_t trials, HbPlan *plan,
		   HbStatus *status)
{
	HbPlanRequest own = *request;
	int64_t batch = request->batch > 0 ? request->batch : trials;
	Wide brackets = ((Wide) trials + batch - 1) / batch;

	if (!check_totals(brackets, trials, (Wide) trials * request->max_resource, status) ||
		!allocate_plan(host, request, (int64_t) brackets, plan, status))
		return false;
	own.min_resource = own.max_resource;
	for (int i = 0; i < plan->nbrackets; i++)
	{
		HbPlanBracket *bracket = &plan->brackets[i];
		int64_t left = trials - plan->trials;

		bracket->bracket = bracket->wave = i;
		bracket->first_number = plan->trials + 1;
		if (!build_bracket(host, &own, 0, left < batch ? left : batch, bracket, status))
			return false;
		plan->trials += bracket->trials;
	}
	plan->cost = trials * request->max_resource;
	return true;
}

bool
hb_plan_full(const HbHost *host, const HbPlanRequest *request, HbPlan *plan, HbStatus *status)
{
	Totals totals;

	if (!check_numbers(request, status))
		return false;
	if (request->n_trials > 0)
		return build_full(host, request, request->n_trials, plan, status);
	if (!hyperband_totals(request, &totals, status))
		return false;
	return build_full(host, request, totals.cost / request->max_resource, plan, status);
}

/* A plan of one bracket of s + 1 rungs by request's rule, survivors as Successive Halving has them. */
static bool
build_single(const HbHost *host, const HbPlanRequest *request, int s, int64_t trials, Wide cost,
			 HbPlan *plan, HbStatus *status)
{
	if (!check_totals(1, trials, cost, status) || !allocate_plan(host, request, 1, plan, status))
		return false;
	plan->brackets[0].bracket = 0;
	plan->brackets[0].wave = 0;
	plan->brackets[0].first_number = 1;
	plan->trials = trials;
	plan->cost = (int64_t) cost;
	return build_bracket(host, request, s, trials, &plan->brackets[0], status);
}

bool
hb_plan_halving(const HbHost *host, const HbPlanRequest *request, HbPlan *plan, HbStatus *status)
{
	int64_t trials = request->n_trials;
	int64_t quotient;
	int s_max;
	int s = 0;

	if (!check_numbers(request, status))
		return false;
	s_max = largest_bracket(request);
	if (trials == 0)
		trials = power(request->eta, s_max);
	for (quotient = trials; quotient >= request->eta && s < s_max; quotient /= request->eta)
		s++;
	return build_single(host, request, s, trials, bracket_cost(request, s, trials), plan, status);
}

/* As many trials as the request names, or as Hyperband's plan has. */
static bool
default_trials(const HbPlanRequest *request, int64_t *trials, HbStatus *status)
{
	Totals totals;

	*trials = request->n_trials;
	if (!check_numbers(request, status))
		return false;
	if (request->n_trials > 0)
		return true;
	if (!hyperband_totals(request, &totals, status))
		return false;
	*trials = totals.trials;
	return true;
}

bool
hb_plan_asha(const HbHost *host, const HbPlanRequest *request, HbPlan *plan, HbStatus *status)
{
	HbPlanBracket *bracket;
	Wide cost = 0;
	int64_t trials;
	int64_t left;
	int64_t reached = 0;
	int s;

	if (!default_trials(request, &trials, status))
		return false;
	s = largest_bracket(request);
	left = trials;
	for (int rung = 0; rung <= s; rung++)
	{
		int64_t resource = rung_resource(request, s, rung);

		cost += (Wide) left * (resource - reached);
		reached = resource;
		left /= request->eta;
	}
	if (!build_single(host, request, s, trials, cost, plan, status))
		return false;
	bracket = &plan->brackets[0];
	for (int rung = 1; rung <= s; rung++)
		bracket->rungs[rung].trials = bracket->rungs[rung - 1].trials / request->eta;
	return true;
}

bool
hb_plan_racing(const HbHost *host, const HbPlanRequest *request, HbPlan *plan, HbStatus *status)
{
	HbPlanBracket *bracket;
	size_t size;
	int64_t trials;
	Wide cost;

	if (!default_trials(request, &trials, status))
		return false;
	cost = (Wide) trials * request->max_resource;
	if (cost <= INT64_MAX && request->max_resource > MAX_RUNGS)
		return hb_plan_too_large(request->max_resource, "rungs", status);
	if (!check_totals(1, trials, cost, status) || !allocate_plan(host, request, 1, plan, status))
		return false;
	bracket = &plan->brackets[0];
	size = (size_t) request->max_resource * sizeof(HbPlanRung);
	bracket->rungs = hb_alloc(host, size);
	if (!bracket->rungs)
		return hb_fail_memory(status, size);
	for (int64_t rung = 0; rung < request->max_resource; rung++)
		bracket->rungs[rung] = (HbPlanRung){.trials = trials, .resource = rung + 1};
	bracket->bracket = 0;
	bracket->wave = 0;
	bracket->first_number = 1;
	bracket->trials = plan->trials = trials;
	bracket->nrungs = (int) request->max_resource;
	plan->cost = (int64_t) cost;
	plan->min_pulls = request->min_resource > 3 ? request->min_resource : 3;
	return true;
}

int
hb_plan_drawn(const HbPlan *plan, int64_t ntrials)
{
	int drawn = 0;

	while (drawn < plan->nbrackets && ntrials >= plan->brackets[drawn].trials)
		ntrials -= plan->brackets[drawn++].trials;
	return ntrials == 0 ? drawn : -1;
}

int64_t
hb_plan_level(const HbPlanBracket *bracket, int64_t resource)
{
	int rung = 0;

	while (rung < bracket->nrungs - 1 && bracket->rungs[rung].resource < resource)
		rung++;
	return bracket->rungs[rung].resource;
}

void
hb_plan_release(const HbHost *host, HbPlan *plan)
{
	for (int b = 0; b < plan->nbrackets; b++)
		hb_release(host, plan->brackets[b].rungs);
	hb_release(host, plan->brackets);
	plan->brackets = NULL;
	plan->nbrackets = 0;
}
