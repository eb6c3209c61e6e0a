/*
 * proposal.h - what samplers share: independent draws, and never the same configuration twice
 */
#ifndef HB_PROPOSAL_H
#define HB_PROPOSAL_H

#include "tune/point.h"
#include "tune/sampler.h"

/* Trial numbers key 32-bit counters. False with a status (22003) where the number does not fit. */
extern bool hb_check_number(const HbSampleRequest *request, HbStatus *status);

/* A draw of every parameter from its own stream; attempt 0 is the random sampler's first. */
extern void hb_random_point(const HbSampleRequest *request, int attempt, HbPoint *point);

/* Whether the study has the configuration; *known as the result, false with a status when out of memory. */
extern bool hb_proposal_known(const HbSampleRequest *request, const HbPoint *point, bool *known,
							  HbStatus *status);

/*
 * Leaves point as it is where it is new. Otherwise redraws it at random a few times, then, in a finite space, walks
 * all configurations from a seeded place on to the first new one. Where there is none, the repeat stays.
 */
extern bool hb_proposal_renew(const HbSampleRequest *request, HbPoint *point, HbStatus *status);

/* hb_random_point() and hb_proposal_renew(). */
extern bool hb_propose_random(const HbSampleRequest *request, HbPoint *point, HbStatus *status);

/* A point of the scrambled Sobol' sequence and hb_proposal_renew(): what a model starts from. */
extern bool hb_propose_spread(const HbSampleRequest *request, HbPoint *point, HbStatus *status);

/* The common frame of a sampler: a scratch point, filled in by propose, as JSON. */
extern HbJson *
hb_propose(const HbSampleRequest *request,
		   bool (*propose)(const HbSampleRequest *request, HbPoint *point, HbStatus *status),
		   HbStatus *status);

/* For hb_point_draw(): the coordinate of the request's trial in the scrambled Sobol' sequence; context: the request. */
extern double hb_proposal_sobol(void *context, int param, const HbDist *dist);

#endif /* HB_PROPOSAL_H */
