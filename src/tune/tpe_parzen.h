/*
 * tpe_parzen.h - a density over a few parameters: a mixture of one product kernel an observation, and a prior
 */
#ifndef HB_TPE_PARZEN_H
#define HB_TPE_PARZEN_H

#include "core/rng.h"
#include "tune/observed.h"

/* Draws of one proposal, one after another. */
typedef struct HbDraws
{
	uint64_t seed;
	uint64_t detail;
	HbStream stream;
	uint32_t next;
} HbDraws;

extern double hb_draw_uniform(HbDraws *draws);

/* The parameters modelled together, all of which are active in the same circumstances. */
typedef struct HbParzenSpace
{
	int n;
	int *params;
	const HbDist **dists;
} HbParzenSpace;

/* Kernel k of a number: a normal at center[k] of width sigma[k], cut to [0,1]; of a choice: center[k] favoured. */
typedef struct HbParzenAxis
{
	const HbDist *dist;
	double *center; /* coordinate or index; the prior's is the last */
	double *sigma;
	double *log_mass; /* of the normal within [0,1] */
} HbParzenAxis;

typedef struct HbParzen
{
	const HbParzenSpace *space;
	int kernels;    /* observations and the prior */
	double *weight; /* sum 1 */
	HbParzenAxis *axes;
} HbParzen;

/* rows: of observed, in which every parameter of the space is active as in space. False when out of memory. */
extern bool
hb_parzen_init(HbParzen *parzen, const HbHost *host, const HbParzenSpace *space,
			   const HbObserved *observed, const int *rows, int nrows, HbStatus *status);
extern void hb_parzen_release(HbParzen *parzen, const HbHost *host);

/* Writes a code (see HbPoint.codes) for each parameter of the space; numbers from kernels widening times as wide. */
extern void hb_parzen_draw(const HbParzen *parzen, HbDraws *draws, double widening, double *codes);
/* Log density at codes, up to a constant that is the same for all estimators of the space; scratch: kernels. */
extern double hb_parzen_log_density(const HbParzen *parzen, const double *codes, double *scratch);

#endif /* HB_TPE_PARZEN_H */
