/*
 * sampler_sobol.c - a scrambled quasi-random sequence: any 2^k first trials cover each parameter evenly
 *
 * One dimension a parameter, in the order of the space (the first 128; further ones draw independently); the
 * scrambling is keyed by the parameter's name.
 */
#include "tune/proposal.h"
#include "tune/sobol.h"

static bool
propose_sobol(const HbSampleRequest *request, HbPoint *point, HbStatus *status)
{
	hb_point_draw(point, hb_proposal_sobol, (void *) request);
	return hb_proposal_renew(request, point, status);
}

static HbJson *
sample_sobol(const HbSampleRequest *request, HbStatus *status)
{
	return hb_propose(request, propose_sobol, status);
}

extern const HbSampler hb_sampler_sobol;
const HbSampler hb_sampler_sobol = {
	.name = "sobol",
	.description = "a scrambled quasi-random sequence",
	.available = true,
	.sample = sample_sobol,
};
