/*
 * plan_infinite.c - Hyperband without a largest resource (Li et al., JMLR 18-185, section 5.1)
 *
 * Successive Halving of Jamieson and Talwalkar (AISTATS 2016) over the doubling rule: round k = 1, 2, ... gives each
 * s >= 1 with 2^(k-s) >= s a bracket of 2^s trials and a budget of 2^k pulls.  Its s rungs share the budget evenly:
 * rung q has |S_q| = 2^(s-q) trials, each pulled floor(2^k/(|S_q|*s)) times more.  The condition makes the first
 * pull at least 1, so no bracket is empty; the last rung has two trials, of which the better is the bracket's answer.
 */
#include "tune/plan_build.h"

#include <string.h>

/* 2^k pulls in a round of this number would be more than any 64-bit count. */
#define MAX_ROUNDS 62

bool
hb_plan_check_infinite(const HbPlanRequest *request, HbStatus *status)
{
	if (request->eta != 2)
	{
		hb_fail(status, HB_ERR_INVALID_PARAMETER, "\"eta\" must be 2 for an infinite horizon");
		return hb_fail_hint(status, "Set \"eta\" to 2, or give \"max_resource\".");
	}
	if (request->min_resource < 1)
		return hb_fail(status, HB_ERR_INVALID_PARAMETER, "\"min_resource\" must be at least 1");
	if (request->n_trials < 0)
		return hb_fail(status, HB_ERR_INVALID_PARAMETER, "\"n_trials\" must be at least 1");
	if (request->n_trials > HB_PLAN_MAX_TRIALS)
		return hb_plan_too_large(request->n_trials, "trials", status);
	return true;
}

bool
hb_plan_first_infinite(const HbHost *host, const HbPlanRequest *request, HbPlan *plan,
					   HbStatus *status)
{
	bool extended;

	memset(plan, 0, sizeof(*plan));
	plan->eta = request->eta;
	return hb_plan_extend_infinite(host, request, plan, &extended, status);
}

static bool
has_bracket(int k, int s)
{
	return k >= s && (INT64_C(1) << (k - s)) >= s;
}

/* Trials that are still to come; a large number where there is no limit. */
static int64_t
trials_left(const HbPlanRequest *request, const HbPlan *plan)
{
	return request->n_trials > 0 ? request->n_trials - plan->trials
								 : HB_PLAN_MAX_TRIALS + INT64_C(1) - plan->trials;
}

/* Fills a bracket; one that is cut keeps its resources. Adds its cost to the plan's. */
static bool
fill_bracket(const HbHost *host, const HbPlanRequest *request, int k, int s, int64_t trials,
			 HbPlan *plan, HbStatus *status)
{
	HbPlanBracket *bracket = &plan->brackets[plan->nbrackets];
	HbWide cost = plan->cost;
	HbWide reached = 0;

	bracket->bracket = plan->nbrackets;
	bracket->wave = request->batch > 0 ? plan->nbrackets : k - 1;
	bracket->first_number = plan->trials + 1;
	bracket->trials = trials;
	bracket->nrungs = s;
	bracket->rungs = hb_alloc(host, s * sizeof(HbPlanRung));
	if (!bracket->rungs)
		return hb_fail_memory(status, s * sizeof(HbPlanRung));
	plan->nbrackets++;
	plan->trials += trials;
	for (int q = 0; q < s; q++)
	{
		HbWide pulls = (INT64_C(1) << k) / ((INT64_C(1) << (s - q)) * s);

		reached += pulls * request->min_resource;
		cost += pulls * request->min_resource * trials;
		if (reached > INT32_MAX)
			return hb_plan_too_large(reached, "units of training for one trial", status);
		if (cost > INT64_MAX)
			return hb_plan_too_large(cost, "units of training", status);
		bracket->rungs[q] = (HbPlanRung){.trials = trials, .resource = (int64_t) reached};
		trials = trials > 3 ? trials / 2 : 1;
	}
	plan->cost = (int64_t) cost;
	return true;
}

/* Room for so many brackets more. */
static bool
grow(const HbHost *host, HbPlan *plan, int more, HbStatus *status)
{
	size_t size = (size_t) (plan->nbrackets + more) * sizeof(HbPlanBracket);
	HbPlanBracket *brackets = hb_alloc(host, size);

	if (!brackets)
		return hb_fail_memory(status, size);
	if (plan->nbrackets > 0)
		memcpy(brackets, plan->brackets, plan->nbrackets * sizeof(HbPlanBracket));
	hb_release(host, plan->brackets);
	plan->brackets = brackets;
	return true;
}

bool
hb_plan_extend_infinite(const HbHost *host, const HbPlanRequest *request, HbPlan *plan,
						bool *extended, HbStatus *status)
{
	int k = plan->rounds + 1;

	*extended = false;
	if (!hb_plan_check_infinite(request, status))
		return false;
	if (request->n_trials > 0 && plan->trials >= request->n_trials)
		return true;
	if (k > MAX_ROUNDS)
		return hb_plan_too_large((HbWide) 1 << k, "units of training", status);
	if (!grow(host, plan, k, status))
		return false;
	for (int s = k; s >= 1; s--)
	{
		int64_t left = trials_left(request, plan);
		int64_t trials = INT64_C(1) << s;

		if (!has_bracket(k, s) || left == 0)
			continue;
		if (request->n_trials == 0 && trials >= left)
			return hb_plan_too_large(plan->trials + trials, "trials", status);
		if (!fill_bracket(host, request, k, s, trials < left ? trials : left, plan, status))
			return false;
	}
	plan->rounds = k;
	*extended = true;
	return true;
}
