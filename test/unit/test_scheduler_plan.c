/*
 * test_scheduler_plan.c - plans of the infinite horizon, of halving, asha and racing
 */
#include "tap.h"
#include "plan_text.h"

#include "core/rng.h"
#include "tune/scheduler.h"

static const HbHost *host = &hb_host_malloc;

typedef bool (*PlanFunction)(const HbHost *host, const HbPlanRequest *request, HbPlan *plan,
							 HbStatus *status);

static HbPlanRequest
infinite(int64_t min, int64_t n, int64_t batch)
{
	return (HbPlanRequest){
		.min_resource = min, .eta = 2, .n_trials = n, .infinite = true, .batch = batch};
}

static void
is_plan(PlanFunction function, HbPlanRequest request, const char *expected, int64_t cost,
		const char *name)
{
	HbPlan plan;
	HbStatus status;

	if (!ok(function(host, &request, &plan, &status), "%s: planned", name))
		return;
	is_str(plan_text(&plan), expected, "%s: brackets", name);
	is_int(plan.cost, cost, "%s: cost", name);
	hb_plan_release(host, &plan);
}

static void
test_single(void)
{
	is_plan(hb_plan_halving, request_of(81, 3, 1, 9), "9x9 3x27 1x81", 81 + 54 + 54,
			"halving, nine trials to 81");
	is_plan(hb_plan_halving, request_of(81, 3, 1, 0), "81x1 27x3 9x9 3x27 1x81",
			81 + 54 + 54 + 54 + 54, "halving to 81");
	is_plan(hb_plan_halving, request_of(81, 3, 1, 128), "128x1 42x3 14x9 4x27 1x81",
			128 + 84 + 84 + 72 + 54, "halving, 128 trials to 81");
	is_plan(hb_plan_halving, request_of(81, 3, 9, 81), "81x9 27x27 9x81", 729 + 486 + 486,
			"halving, 81 trials from 9");
	is_plan(hb_plan_halving, request_of(81, 3, 1, 10), "10x9 3x27 1x81", 90 + 54 + 54,
			"halving, ten trials");
	is_plan(hb_plan_halving, request_of(81, 3, 1, 2), "2x81", 162, "halving, two trials");
	is_plan(hb_plan_halving, request_of(100, 4, 1, 16), "16x6 4x25 1x100", 96 + 76 + 75,
			"halving by 4 to 100");
	is_plan(hb_plan_asha, request_of(81, 3, 1, 0), "128x1 42x3 14x9 4x27 1x81",
			128 + 84 + 84 + 72 + 54, "asha: as many trials as Hyperband");
	is_plan(hb_plan_asha, request_of(9, 3, 1, 5), "5x1 1x3 0x9", 5 + 2,
			"asha: five trials need not come to the end");
	is_plan(hb_plan_asha, request_of(100, 10, 3, 20), "20x10 2x100", 200 + 180,
			"asha: lowest resource");
	is_plan(hb_plan_racing, request_of(4, 3, 1, 5), "5x1 5x2 5x3 5x4", 20, "racing: a rung a pull");
	is_plan(hb_plan_racing, request_of(3, 3, 1, 0), "5x1 5x2 5x3", 15,
			"racing: as many trials as Hyperband");
}

static void
test_infinite(void)
{
	HbPlanRequest request = infinite(1, 0, 0);
	HbPlan plan;
	HbStatus status;
	bool extended;
	static const char *const rounds[] = {
		"2x1", "2x1 / 2x2", "2x1 / 2x2 / 4x1 2x3 / 2x4",
		"2x1 / 2x2 / 4x1 2x3 / 2x4 / 4x2 2x6 / 2x8",
		"2x1 / 2x2 / 4x1 2x3 / 2x4 / 4x2 2x6 / 2x8 / 8x1 4x3 2x8 / 4x4 2x12 / 2x16"};

	ok(hb_plan_check(&request, &status) && hb_plan_hyperband(host, &request, &plan, &status),
	   "infinite horizon: planned");
	for (int k = 1; k <= 5; k++)
	{
		is_str(plan_text(&plan), rounds[k - 1], "after round %d", k);
		ok(hb_plan_extend_infinite(host, &request, &plan, &extended, &status) && extended,
		   "extended");
	}
	ok(plan.brackets[2].bracket == 2 && plan.brackets[2].wave == 2 && plan.brackets[3].wave == 2 &&
		   plan.brackets[2].first_number == 5 && plan.brackets[3].first_number == 9,
	   "brackets and trials are numbered on, a round is a wave");
	hb_plan_release(host, &plan);

	request = infinite(10, 11, 1);
	hb_plan_hyperband(host, &request, &plan, &status);
	while (hb_plan_extend_infinite(host, &request, &plan, &extended, &status) && extended)
		;
	is_str(plan_text(&plan), "2x10 / 2x20 / 4x10 2x30 / 2x40 / 1x20 1x60",
		   "n_trials cuts the last bracket; a pull is min_resource units");
	is_int(plan.trials, 11, "exactly n_trials");
	is_int(plan.cost, 20 + 40 + 40 + 40 + 80 + 60, "cost with continuation");
	is_int(plan.brackets[4].wave, 4, "one after another for a sampler that learns");
	is_int(hb_plan_drawn(&plan, 8), 3, "three brackets have all their trials");
	is_int(hb_plan_drawn(&plan, 9), -1, "one in part");
	is_int(hb_plan_drawn(&plan, 0), 0, "none yet");
	is_int(hb_plan_drawn(&plan, 11), 5, "all");
	is_int(hb_plan_drawn(&plan, 12), -1, "one too many");
	hb_plan_release(host, &plan);
}

/* Every bracket of the doubling rule once, nothing else, each within its budget. */
static void
test_rule(void)
{
	HbPlanRequest request = infinite(1, 0, 0);
	HbPlan plan;
	HbStatus status;
	bool extended;
	int wrong = 0;
	int at = 0;
	int64_t cost = 0;

	hb_plan_hyperband(host, &request, &plan, &status);
	while (plan.rounds < 22 && hb_plan_extend_infinite(host, &request, &plan, &extended, &status) &&
		   extended)
		;
	for (int k = 1; k <= plan.rounds; k++)
		for (int s = 40; s >= 1; s--)
		{
			const HbPlanBracket *bracket = &plan.brackets[at];
			int64_t spent = 0;

			if (k < s || pow(2, k - s) < s)
				continue;
			at++;
			wrong += bracket->trials != 1 << s || bracket->nrungs != s || bracket->wave != k - 1;
			for (int q = 0; q < bracket->nrungs; q++)
			{
				int64_t pulls =
					bracket->rungs[q].resource - (q ? bracket->rungs[q - 1].resource : 0);
				int64_t left = INT64_C(1) << (s - q);

				wrong += bracket->rungs[q].trials != left || pulls < 1 ||
						 pulls != (INT64_C(1) << k) / (left * s);
				spent += pulls * left;
			}
			wrong += spent > INT64_C(1) << k;
			cost += spent;
		}
	is_int(wrong, 0, "%d rounds of the doubling rule", plan.rounds);
	is_int(at, plan.nbrackets, "and no other bracket");
	is_int(cost, plan.cost, "the cost is the sum");
	while (hb_plan_extend_infinite(host, &request, &plan, &extended, &status) && extended)
		;
	is_str(status.sqlstate, "22003", "a plan ends where trials do not count in 32 bits: %s",
		   status.message);
	hb_plan_release(host, &plan);
}

static void
refused(PlanFunction function, HbPlanRequest request, const char *sqlstate, const char *message)
{
	HbPlan plan;
	HbStatus status;

	hb_status_init(&status);
	ok(!function(host, &request, &plan, &status) && strcmp(status.sqlstate, sqlstate) == 0,
	   "refused: %s", message);
	is_str(status.message, message, "and said so");
}

static void
test_refused(void)
{
	HbPlanRequest request = infinite(1, 0, 0);

	refused(hb_plan_halving, request, "22023", "\"max_resource\" must be given");
	refused(hb_plan_racing, request, "22023", "\"max_resource\" must be given");
	request.eta = 3;
	refused(hb_plan_hyperband, request, "22023", "\"eta\" must be 2 for an infinite horizon");
	refused(hb_plan_hyperband, infinite(0, 0, 0), "22023", "\"min_resource\" must be at least 1");
	refused(hb_plan_hyperband, infinite(1, -1, 0), "22023", "\"n_trials\" must be at least 1");
	refused(hb_plan_hyperband, infinite(1, 3000000000, 0), "22003", "study would need 3e9 trials");
	refused(hb_plan_asha, request_of(81, 1, 1, 0), "22023", "\"eta\" must be at least 2");
	refused(hb_plan_halving, request_of(3, 3, 9, 0), "22023",
			"\"max_resource\" must be at least \"min_resource\"");
	refused(hb_plan_asha, request_of(4, 2, 1, 3000000000), "22003", "study would need 3e9 trials");
	refused(hb_plan_racing, request_of(INT64_MAX, 2, 1, 5), "22003",
			"study would need 4e19 units of training");
	refused(hb_plan_racing, request_of(1 << 30, 2, 1, 5), "22003", "study would need 1e9 rungs");
}

/* What holds for each bracket of each plan. */
static bool
bracket_holds(const HbPlanRequest *request, const HbPlanBracket *bracket, bool asha, bool racing)
{
	int64_t before = 0;

	for (int r = 0; r < bracket->nrungs; r++)
	{
		const HbPlanRung *rung = &bracket->rungs[r];
		int64_t kept = r == 0   ? bracket->trials
					   : racing ? rung[-1].trials
								: rung[-1].trials / request->eta;

		if (rung->resource <= before || (!racing && rung->resource < request->min_resource) ||
			rung->resource > request->max_resource || rung->trials != (kept > 0 || asha ? kept : 1))
			return false;
		before = rung->resource;
	}
	return before == request->max_resource;
}

static void
test_properties(void)
{
	static const PlanFunction functions[] = {hb_plan_halving, hb_plan_asha, hb_plan_racing,
											 hb_plan_full};
	int wrong = 0;

	for (int i = 0; i < 8000; i++)
	{
		uint32_t w[4];
		HbPlanRequest request;
		HbPlan plan = {0};
		HbStatus status;
		int64_t trials = 0;
		int64_t cost = 0;

		hb_random4(4, HB_STREAM_SAMPLE, 7, i, w);
		request = request_of(1 + w[0] % 1000, 2 + w[2] % 9, 1, i % 3 ? 1 + w[3] % 300 : 0);
		request.min_resource = 1 + w[1] % request.max_resource;
		request.batch = i % 5;
		if (!functions[i % 4](host, &request, &plan, &status))
		{
			wrong++;
			continue;
		}
		for (int b = 0; b < plan.nbrackets; b++)
		{
			const HbPlanBracket *bracket = &plan.brackets[b];

			wrong += !bracket_holds(&request, bracket, i % 4 == 1, i % 4 == 2) ||
					 bracket->first_number != trials + 1;
			trials += bracket->trials;
			for (int r = 0; r < bracket->nrungs; r++)
				cost += bracket->rungs[r].trials *
						(bracket->rungs[r].resource - (r ? bracket->rungs[r - 1].resource : 0));
		}
		wrong += trials != plan.trials || cost != plan.cost ||
				 (request.n_trials > 0 && trials != request.n_trials) ||
				 (i % 4 < 3 && plan.nbrackets != 1);
		hb_plan_release(host, &plan);
	}
	is_int(wrong, 0, "8,000 random requests: every plan keeps its promises");
}

int
main(void)
{
	test_single();
	test_infinite();
	test_rule();
	test_refused();
	test_properties();
	return tap_done();
}
