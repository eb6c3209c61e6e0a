/*
 * gp_search.h - where the expected improvement under a Gaussian process is largest
 */
#ifndef HB_GP_SEARCH_H
#define HB_GP_SEARCH_H

#include "tune/gp_model.h"
#include "tune/observed.h"
#include "tune/point.h"
#include "tune/sampler.h"

/* No more results and pending trials are modelled; the covariance has as many rows. */
#define HB_GP_MOST_RESULTS 240
#define HB_GP_MOST_PENDING 80

/* The parameters that have anything to choose, as the dimensions of a model. */
typedef struct HbGpAxes
{
	int d;
	int *params;
	bool *category; /* only equality counts */
} HbGpAxes;

extern bool
hb_gp_axes_init(HbGpAxes *axes, const HbHost *host, const HbSpace *space, HbStatus *status);
extern void hb_gp_axes_release(HbGpAxes *axes, const HbHost *host);

/* The coordinates of a configuration, given by dists and codes as in HbPoint. */
extern void hb_gp_encode(const HbGpAxes *axes, const HbSpace *space, const HbDist *const *dists,
						 const double *codes, double *x);

/*
 * Sets point to the new configuration with the largest log expected improvement over best, among scrambled Sobol'
 * points and what a local search makes of the most promising ones and of the best results (order: best first).
 * *found: false where every candidate is a repeat.
 */
extern bool hb_gp_search(const HbGp *gp, const HbGpAxes *axes, const HbSampleRequest *request,
						 double best, const HbObserved *observed, const int *order, HbPoint *point,
						 bool *found, HbStatus *status);

#endif /* HB_GP_SEARCH_H */
