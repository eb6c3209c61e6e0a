/*
 * sampler.h - where configurations come from; one registry
 *
 * A proposal is a pure function of its request: the seed, the trial's number, what is recorded of earlier trials
 * and which trials are pending.  What a proposal may depend on is therefore fixed by whoever fills the request in
 * (the schedule), not by who finished first; a memo saves time and changes nothing.
 */
#ifndef HB_SAMPLER_H
#define HB_SAMPLER_H

#include "tune/space.h"

/*
 * What a sampler that learns may see of an evaluation.  A trial may have several, one a resource level.  Results of
 * another study (a warm start) carry numbers below 1.
 */
typedef struct HbObservation
{
	int64_t number;
	int64_t resource;
	double loss; /* NaN or infinite: it diverged or failed, which counts as the worst */
	const HbJson *config;
} HbObservation;

/* With several resource levels, a model is of the largest that has as many results as parameters, and these more. */
#define HB_MODEL_RESULTS 3

#define HB_SAMPLER_MEMO_VALUES 64

/* Hyperparameters fitted for the last request, kept by the caller between proposals of a batch; zero it first. */
typedef struct HbSamplerMemo
{
	uint64_t key; /* of the observations they were fitted to */
	int count;    /* 0: empty */
	double values[HB_SAMPLER_MEMO_VALUES];
} HbSamplerMemo;

/* Fields that a caller leaves zero take the meaning of "none" or "unknown". */
typedef struct HbSampleRequest
{
	const HbHost *host;
	const HbSpace *space;
	uint64_t seed;
	int64_t number; /* of the trial to be drawn, from 1: keys its draws */
	int64_t
		warm_trials; /* leading trials of the study that no sampler drew: sequences begin after them */
	bool
		multi_fidelity; /* losses at several resource levels: model the largest with enough results */
	/* In ascending order of (number, resource). */
	const HbObservation *observations;
	int nobservations;
	/* Configurations of earlier trials without a result that counts yet, in ascending order of number. */
	const HbJson *const *pending;
	int npending;
	/* Whether a trial of the study has this configuration; NULL: looked up in observations and pending. */
	bool (*seen)(void *context, const HbJson *config);
	void *seen_context;
	HbSamplerMemo *memo; /* or NULL */
	bool *exhausted;     /* set to true where sample fails because no proposal is left; or NULL */
} HbSampleRequest;

typedef struct HbSampler
{
	const char *name;
	const char *description;
	bool learns;    /* brackets then run one after another */
	bool available; /* false: named in the design, answers 0A000 */
	/*
	 * A JSON object of the active parameters; NULL with a status.  The same configuration comes twice only where
	 * the space has no other.
	 */
	HbJson *(*sample)(const HbSampleRequest *request, HbStatus *status);
	/* Proposals that the sampler has for this space, at most INT64_MAX; NULL: no end. False with a status. */
	bool (*limit)(const HbHost *host, const HbSpace *space, int64_t *proposals, HbStatus *status);
} HbSampler;

extern const HbSampler *const hb_samplers[]; /* NULL-terminated */
/* 22023 with a HINT listing the available ones where unknown, 0A000 where not yet built. */
extern const HbSampler *hb_sampler_find(const char *name, HbStatus *status);

#endif /* HB_SAMPLER_H */
