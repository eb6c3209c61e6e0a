/*
 * fuzz_plan.c - libFuzzer target: bracket arithmetic
 *
 * Six numbers and some flags make a request.  A plan that is made must be one: rungs with ever fewer trials and ever more
 * resource up to the largest, numbers without gaps, a cost that is positive.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_host.h"
#include "tune/plan.h"
#include "tune/scheduler.h"

typedef bool (*Maker)(const HbHost *, const HbPlanRequest *, HbPlan *, HbStatus *);

static const Maker makers[] = {hb_plan_hyperband, hb_plan_full, hb_plan_halving, hb_plan_asha,
							   hb_plan_racing};

#define ROUNDS 12 /* of the infinite horizon */

static void
require(bool condition)
{
	if (!condition)
		abort();
}

static void
check_bracket(const HbPlanBracket *bracket)
{
	require(bracket->trials >= 1 && bracket->nrungs >= 1);
	require(bracket->rungs[0].trials == bracket->trials && bracket->rungs[0].resource >= 1);
	for (int r = 1; r < bracket->nrungs; r++)
		require(bracket->rungs[r].trials >= 0 &&
				bracket->rungs[r].trials <= bracket->rungs[r - 1].trials &&
				bracket->rungs[r].resource > bracket->rungs[r - 1].resource);
}

static void
check_plan(const HbPlan *plan)
{
	int64_t number = 1;

	require(plan->nbrackets >= 1 && plan->cost > 0);
	for (int b = 0; b < plan->nbrackets; b++)
	{
		check_bracket(&plan->brackets[b]);
		require(plan->brackets[b].first_number == number);
		number += plan->brackets[b].trials;
	}
	require(number == plan->trials + 1);
}

static void
extend(const HbPlanRequest *request, HbPlan *plan, HbStatus *status)
{
	bool extended = true;

	for (int round = 0; round < ROUNDS && extended; round++)
	{
		if (!hb_plan_extend_infinite(&fuzz_host, request, plan, &extended, status))
			return;
		check_plan(plan);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int64_t numbers[5];
	HbPlanRequest request;
	HbStatus status;
	HbPlan plan = {0};
	uint8_t flags;

	if (size < sizeof numbers + 1)
		return 0;
	memcpy(numbers, data, sizeof numbers);
	flags = data[sizeof numbers];
	/* half of the inputs are numbers that a caller of SQL could give */
	if (flags & 128)
		for (int i = 0; i < 5; i++)
			numbers[i] = (int32_t) numbers[i];
	request = (HbPlanRequest){.max_resource = numbers[0],
							  .min_resource = numbers[1],
							  .eta = numbers[2],
							  .n_trials = numbers[3],
							  .ceil = flags & 1,
							  .infinite = flags & 2,
							  .batch = flags & 4 ? numbers[4] : 0};
	hb_status_init(&status);
	(void) hb_plan_check(&request, &status);
	hb_status_init(&status);
	if (makers[(flags >> 3) % 5](&fuzz_host, &request, &plan, &status))
	{
		check_plan(&plan);
		if (request.infinite)
			extend(&request, &plan, &status);
	}
	fuzz_release_all();
	return 0;
}
