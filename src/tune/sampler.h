/*
 * sampler.h - where configurations come from; one registry
 */
#ifndef HB_SAMPLER_H
#define HB_SAMPLER_H

#include "tune/space.h"

/* What a sampler that learns may see of a finished or running trial. */
typedef struct HbObservation
{
	int64_t number;
	int64_t resource;
	double loss;
	const HbJson *config;
} HbObservation;

typedef struct HbSampleRequest
{
	const HbHost *host;
	const HbSpace *space;
	uint64_t seed;
	int64_t number; /* of the trial to be drawn, from 1: keys its draws */
	const HbObservation *observations;
	int nobservations;
} HbSampleRequest;

typedef struct HbSampler
{
	const char *name;
	const char *description;
	bool learns; /* brackets then run one after another */
	bool available; /* false: named in the design, answers 0A000 */
	/* A JSON object of the active parameters; NULL with a status. */
	HbJson *(*sample)(const HbSampleRequest *request, HbStatus *status);
} HbSampler;

extern const HbSampler *const hb_samplers[]; /* NULL-terminated */
/* 22023 with a HINT listing the available ones where unknown, 0A000 where not yet built. */
extern const HbSampler *hb_sampler_find(const char *name, HbStatus *status);

#endif /* HB_SAMPLER_H */
