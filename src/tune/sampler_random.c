/*
 * sampler_random.c - configurations drawn independently from the search space (Bergstra and Bengio, JMLR 13-281)
 *
 * A parameter's draw depends on the seed, its own name and the trial's number only: adding a parameter to a space
 * leaves the values of the others as they were.
 */
#include "tune/proposal.h"

static HbJson *
sample_random(const HbSampleRequest *request, HbStatus *status)
{
	return hb_propose(request, hb_propose_random, status);
}

extern const HbSampler hb_sampler_random;
const HbSampler hb_sampler_random = {
	.name = "random",
	.description = "independent draws from the search space",
	.available = true,
	.sample = sample_random,
};
