/*
 * test_plan.c - bracket arithmetic
 */
#include "tap.h"
#include "plan_text.h"

#include "core/rng.h"
#include "tune/plan.h"

static const HbHost *host = &hb_host_malloc;

static void
is_plan(HbPlanRequest request, const char *expected, const char *name)
{
	HbPlan plan;
	HbStatus status;

	if (ok(hb_plan_check(&request, &status) && hb_plan_hyperband(host, &request, &plan, &status),
		   "%s: planned", name))
		is_str(plan_text(&plan), expected, "%s: brackets", name);
}

static void
test_tables(void)
{
	HbPlanRequest request = request_of(81, 3, 1, 0);
	HbPlan plan;
	HbStatus status;

	is_plan(request,
			"81x1 27x3 9x9 3x27 1x81 / 27x3 9x9 3x27 1x81 / 9x9 3x27 1x81 / 6x27 2x81 / 5x81",
			"81 by 3");
	hb_plan_hyperband(host, &request, &plan, &status);
	is_int(plan.trials, 128, "81 by 3: configurations");
	is_int(plan.cost, 1404, "81 by 3: cost with continuation");
	ok(plan.brackets[0].bracket == 4 && plan.brackets[4].bracket == 0 &&
		   plan.brackets[1].first_number == 82 && plan.brackets[4].first_number == 124,
	   "81 by 3: brackets and numbers, the largest first");
	request = request_of(243, 3, 1, 0);
	hb_plan_hyperband(host, &request, &plan, &status);
	is_int(plan.nbrackets, 6, "243 by 3: six brackets, where logarithms give five");
	is_int(plan.brackets[0].trials, 243, "243 by 3: trials of the largest");
	is_plan(request_of(100, 10, 1, 0), "100x1 10x10 1x100 / 10x10 1x100 / 3x100", "100 by 10");
	is_plan(request_of(300, 4, 1, 0),
			"256x1 64x4 16x18 4x75 1x300 / 64x4 16x18 4x75 1x300 / 16x18 4x75 1x300 / 8x75 2x300 / "
			"5x300",
			"300 by 4");
	is_plan(request_of(1, 3, 1, 0), "1x1", "1 by 3");
	is_plan(request_of(2, 3, 1, 0), "1x2", "2 by 3");
	is_plan(request_of(2, 2, 1, 0), "2x1 1x2 / 2x2", "2 by 2");
	is_plan(request_of(81, 3, 9, 0), "9x9 3x27 1x81 / 3x27 1x81 / 3x81", "81 by 3 from 9");
	is_plan(request_of(81, 3, 5, 0), "9x9 3x27 1x81 / 3x27 1x81 / 3x81", "81 by 3 from 5");
	is_plan(request_of(81, 3, 81, 0), "1x81", "81 by 3 from 81");
	request = request_of(81, 3, 1, 0);
	request.ceil = true;
	is_plan(request,
			"81x1 27x3 9x9 3x27 1x81 / 34x3 11x9 3x27 1x81 / 15x9 5x27 1x81 / 8x27 2x81 / 5x81",
			"81 by 3 rounded up, the journal's table");
}

static void
test_counts(void)
{
	HbPlanRequest request = request_of(9, 3, 1, 40);
	HbPlan plan;
	HbStatus status;

	is_plan(request_of(9, 3, 1, 0), "9x1 3x3 1x9 / 3x3 1x9 / 3x9", "9 by 3");
	is_plan(request_of(9, 3, 1, 5), "5x1 1x3 1x9",
			"five trials: a cut bracket keeps its resources");
	is_plan(request_of(9, 3, 1, 11), "9x1 3x3 1x9 / 2x3 1x9", "eleven trials: leading brackets");
	is_plan(request_of(9, 3, 1, 20), "9x1 3x3 1x9 / 3x3 1x9 / 3x9 / 5x1 1x3 1x9",
			"twenty: repeated");
	hb_plan_hyperband(host, &request, &plan, &status);
	is_int(plan.nbrackets, 8, "forty trials: brackets");
	ok(plan.brackets[3].bracket == 5 && plan.brackets[5].bracket == 3 &&
		   plan.brackets[6].bracket == 8,
	   "repetitions number their brackets on");
}

static void
test_full(void)
{
	HbPlanRequest request = request_of(81, 3, 1, 0);
	HbPlan plan;
	HbStatus status;

	ok(hb_plan_full(host, &request, &plan, &status), "full");
	is_str(plan_text(&plan), "17x81", "full: as much as Hyperband costs");
	ok(plan.nbrackets == 1 && plan.brackets[0].bracket == 0 && plan.brackets[0].first_number == 1 &&
		   plan.trials == 17 && plan.cost == 17 * 81,
	   "full: bracket 0, one rung");
	request.n_trials = 1;
	hb_plan_full(host, &request, &plan, &status);
	is_str(plan_text(&plan), "1x81", "full: as many trials as asked for");
	request = request_of(1, 3, 1, 0);
	hb_plan_full(host, &request, &plan, &status);
	is_str(plan_text(&plan), "1x1", "full: one unit");
}

static void
refused(HbPlanRequest request, const char *sqlstate, const char *message)
{
	HbPlan plan;
	HbStatus status;

	hb_status_init(&status);
	if (!ok(!hb_plan_check(&request, &status) && strcmp(status.sqlstate, sqlstate) == 0 &&
				strcmp(status.message, message) == 0,
			"%s %s", sqlstate, message))
		printf("# got %s %s\n", status.sqlstate, status.message);
	ok(!hb_plan_hyperband(host, &request, &plan, &status) && strcmp(status.message, message) == 0,
	   "and hyperband says the same");
	ok(!hb_plan_full(host, &request, &plan, &status) && strcmp(status.sqlstate, sqlstate) == 0,
	   "and so does full");
}

/* The rung that a trial was on its way to. */
static void
test_level(void)
{
	HbPlanRequest request = request_of(9, 3, 1, 0);
	HbPlan plan;
	HbStatus status;

	hb_plan_hyperband(host, &request, &plan, &status);
	is_int(hb_plan_level(&plan.brackets[0], 0), 1, "9x1 3x3 1x9: without a result, 1");
	is_int(hb_plan_level(&plan.brackets[0], 1), 1, "at 1");
	is_int(hb_plan_level(&plan.brackets[0], 2), 3, "beyond 1, 3");
	is_int(hb_plan_level(&plan.brackets[0], 4), 9, "beyond 3, 9");
	is_int(hb_plan_level(&plan.brackets[0], 10), 9, "beyond the last one, that one");
	is_int(hb_plan_level(&plan.brackets[2], 0), 9, "3x9: without a result, 9");
	hb_plan_release(host, &plan);
}

static void
test_refused(void)
{
	int64_t max = INT64_MAX;

	refused(request_of(81, 1, 1, 0), "22023", "\"eta\" must be at least 2");
	refused(request_of(81, INT64_MIN, 1, 0), "22023", "\"eta\" must be at least 2");
	refused(request_of(81, 3, 0, 0), "22023", "\"min_resource\" must be at least 1");
	refused(request_of(3, 3, 9, 0), "22023", "\"max_resource\" must be at least \"min_resource\"");
	refused(request_of(0, 3, 1, 0), "22023", "\"max_resource\" must be at least \"min_resource\"");
	refused(request_of(81, 3, 1, -1), "22023", "\"n_trials\" must be at least 1");
	refused(request_of(max, 2, max, 2), "22003", "study would need 1e19 units of training");
	refused(request_of(4, 2, 1, 3000000000), "22003", "study would need 3e9 trials");
}

/* Everything a plan promises, on parameters drawn at random. */
static bool
plan_holds(const HbPlanRequest *request, const HbPlan *plan)
{
	int64_t trials = 0;
	int64_t cost = 0;
	int s_max = plan->nbrackets > 0 ? plan->brackets[0].nrungs - 1 : -1;
	__int128 power = 1;

	/* eta^s_max <= R/min < eta^(s_max+1) */
	for (int i = 0; i < s_max; i++)
		power *= request->eta;
	if (power * request->min_resource > request->max_resource ||
		power * request->eta * request->min_resource <= request->max_resource)
		return false;
	for (int b = 0; b < plan->nbrackets; b++)
	{
		const HbPlanBracket *bracket = &plan->brackets[b];
		int64_t before = 0;

		if (bracket->bracket % (s_max + 1) != bracket->nrungs - 1 ||
			bracket->first_number != trials + 1 || bracket->rungs[0].trials != bracket->trials ||
			bracket->trials < 1 ||
			bracket->rungs[bracket->nrungs - 1].resource != request->max_resource)
			return false;
		for (int r = 0; r < bracket->nrungs; r++)
		{
			const HbPlanRung *rung = &bracket->rungs[r];
			int64_t kept = r > 0 ? rung[-1].trials / request->eta : rung->trials;

			if (rung->resource <= before || rung->resource < request->min_resource ||
				rung->trials != (kept > 1 ? kept : 1))
				return false;
			cost += rung->trials * (rung->resource - before);
			before = rung->resource;
		}
		trials += bracket->trials;
	}
	return trials == plan->trials && cost == plan->cost &&
		   (request->n_trials == 0 ? plan->nbrackets == s_max + 1 : trials == request->n_trials);
}

static void
test_properties(void)
{
	int planned = 0;
	int broken = 0;

	for (int i = 0; i < 20000; i++)
	{
		uint32_t w[4];
		HbPlanRequest request;
		HbPlan plan = {0};
		HbStatus status;

		hb_random4(4, HB_STREAM_SAMPLE, 0, i, w);
		request.max_resource = 1 + w[0] % (i % 3 ? 1000 : 100000);
		request.min_resource = 1 + w[1] % (i % 2 ? 1 : (uint32_t) request.max_resource);
		request.eta = 2 + w[2] % 9;
		request.n_trials = i % 4 ? 0 : w[3] % 300;
		request.ceil = w[3] & 1;
		if (!hb_plan_hyperband(host, &request, &plan, &status))
		{
			broken += hb_plan_check(&request, &status);
			continue;
		}
		planned++;
		broken += !hb_plan_check(&request, &status) || !plan_holds(&request, &plan);
		for (int b = 0; b < plan.nbrackets; b++)
			hb_release(host, plan.brackets[b].rungs);
		hb_release(host, plan.brackets);
	}
	is_int(broken, 0, "20,000 random requests: every plan keeps its promises");
	is_int(planned, 20000, "and every one is planned");
}

/* Numbers of any size are planned or refused, without overflow. */
static void
test_extremes(void)
{
	static const int64_t values[] = {
		1, 2, 3, 10, 81, 1000000, INT32_MAX, 1ll << 40, 1ll << 62, INT64_MAX - 1, INT64_MAX};
	int refused = 0;
	int accepted = 0;
	int wrong = 0;

	for (int a = 0; a < 11; a++)
		for (int b = 0; b < 11; b++)
			for (int c = 0; c < 11; c++)
				for (int d = 0; d < 22; d++)
				{
					HbPlanRequest request =
						request_of(values[a], values[b], values[c], values[d / 2]);
					HbStatus status;

					if (d == 0)
						request.n_trials = 0;
					request.ceil = d & 1;
					hb_status_init(&status);
					if (hb_plan_check(&request, &status))
						accepted++;
					else
					{
						refused++;
						wrong += strcmp(status.sqlstate, "22003") != 0 &&
								 strcmp(status.sqlstate, "22023") != 0;
					}
				}
	ok(refused > 0 && accepted > 0 && wrong == 0, "extreme numbers: %d refused, %d accepted",
	   refused, accepted);
}

int
main(void)
{
	test_tables();
	test_counts();
	test_full();
	test_level();
	test_refused();
	test_properties();
	test_extremes();
	return tap_done();
}
