/*
 * observed.h - the results that a sampler models, as plain arrays
 */
#ifndef HB_OBSERVED_H
#define HB_OBSERVED_H

#include "core/rng.h"
#include "tune/point.h"
#include "tune/sampler.h"

/* Rows of results in order of trial number, then rows of pending configurations. */
typedef struct HbObserved
{
	int n;
	int npending;
	int nparams;
	int dimensions;       /* the most free parameters that are active in a row of results */
	double *losses;       /* n; infinite: diverged or failed */
	double *codes;        /* (n + npending) x nparams; meaning: HbPoint.codes */
	const HbDist **dists; /* the same shape; NULL: inactive */
} HbObserved;

/*
 * At one resource level: each trial's last result.  With several (multi_fidelity): the results at the largest level
 * that has at least d + 1 of them and two more to compare with, d the dimensions (Falkner, Klein and Hutter, BOHB,
 * ICML 2018), and a finite one; n is 0 where none has.  Configurations outside the space are left out.
 */
extern bool
hb_observed_init(HbObserved *observed, const HbSampleRequest *request, HbStatus *status);
extern void hb_observed_release(HbObserved *observed, const HbHost *host);

/* Sets point to a row's configuration. */
extern void hb_observed_point(const HbObserved *observed, int row, HbPoint *point);

/* Writes the rows 0..n-1 best first: by loss, then in order. order has room for n. False when out of memory. */
extern bool
hb_observed_rank(const HbObserved *observed, const HbHost *host, int *order, HbStatus *status);

/* Under several resource levels every third trial is drawn at random, which keeps Hyperband's guarantee. */
extern bool hb_observed_skips_model(const HbSampleRequest *request, HbStream stream);

#endif /* HB_OBSERVED_H */
