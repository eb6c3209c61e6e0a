/*
 * sampler_random.c - configurations drawn independently from the search space (Bergstra and Bengio, JMLR 13-281)
 *
 * A parameter's draw depends on the seed, its own name and the trial's number only: adding a parameter to a space
 * leaves the values of the others as they were.
 */
#include "tune/sampler.h"

#include "core/rng.h"

static HbJson *
out_of_memory(const HbSpace *space, HbStatus *status)
{
	hb_fail_memory(status, (unsigned long long) space->nparams * sizeof(HbJson));
	return NULL;
}

/* The active parameters, in the order of the space. */
static HbJson *
collect(const HbHost *host, const HbSpace *space, HbJson *const *values)
{
	HbJson *config = hb_json_object(host);

	for (int i = 0; config && i < space->nparams; i++)
		if (values[i])
			config = hb_json_set(host, config, space->params[i].name, values[i]);
	return config;
}

static HbJson *
sample_random(const HbSampleRequest *request, HbStatus *status)
{
	const HbHost *host = request->host;
	const HbSpace *space = request->space;
	HbJson **values;
	HbJson *config;

	if (request->number < 0 || request->number > UINT32_MAX)
	{
		hb_fail(status, HB_ERR_OUT_OF_RANGE, "trial number %lld is out of range",
				(long long) request->number);
		return NULL;
	}
	values = hb_alloc(host, space->nparams * sizeof(*values));
	if (!values)
		return out_of_memory(space, status);
	for (int i = 0; i < space->nparams; i++)
	{
		int param = space->order[i];
		const HbDist *dist = hb_space_active(space, param, (const HbJson *const *) values);
		double u;

		if (!dist)
			continue;
		u = hb_random_uniform(request->seed, HB_STREAM_SPACE, space->params[param].name_hash,
							  (uint32_t) request->number);
		values[param] = hb_dist_quantile(host, dist, u);
		if (!values[param])
			return out_of_memory(space, status);
	}
	config = collect(host, space, values);
	hb_release(host, values);
	return config ? config : out_of_memory(space, status);
}

extern const HbSampler hb_sampler_random;
const HbSampler hb_sampler_random = {
	.name = "random",
	.description = "independent draws from the search space",
	.available = true,
	.sample = sample_random,
};
