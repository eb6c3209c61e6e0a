/*
 * plan_text.h - what the tests of plans share: a request, and brackets as text
 */
#ifndef HB_TEST_PLAN_TEXT_H
#define HB_TEST_PLAN_TEXT_H

#include <stdio.h>

#include "tune/plan.h"

static HbPlanRequest
request_of(int64_t max, int64_t eta, int64_t min, int64_t n)
{
	return (HbPlanRequest){.max_resource = max, .min_resource = min, .eta = eta, .n_trials = n};
}

/* "81x1 27x3 9x9 / 27x3": brackets as hyperband_plan shows them. */
static const char *
plan_text(const HbPlan *plan)
{
	static char text[8192];
	size_t at = 0;

	text[0] = '\0';
	for (int b = 0; b < plan->nbrackets; b++)
		for (int r = 0; r < plan->brackets[b].nrungs; r++)
			at += snprintf(text + at, sizeof(text) - at, "%s%lldx%lld",
						   r > 0   ? " "
						   : b > 0 ? " / "
								   : "",
						   (long long) plan->brackets[b].rungs[r].trials,
						   (long long) plan->brackets[b].rungs[r].resource);
	return text;
}

#endif /* HB_TEST_PLAN_TEXT_H */
