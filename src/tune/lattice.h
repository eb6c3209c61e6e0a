/*
 * lattice.h - a finite set of points of a search space, counted and numbered
 *
 * Either a grid (evenly spaced values of each number, every choice) or all configurations of a space without a
 * continuum.  Conditional parameters count only in the combinations in which they are active.  Parameters that do
 * not depend on each other form components of their own, so that a count never walks more than the combinations of
 * parents in one component.
 */
#ifndef HB_LATTICE_H
#define HB_LATTICE_H

#include "tune/point.h"

#define HB_LATTICE_MAX (UINT64_C(1) << 62)

typedef enum HbLatticeKind
{
	HB_LATTICE_GRID, /* "grid" points of each number */
	HB_LATTICE_ALL   /* every value; needs a space without a continuum */
} HbLatticeKind;

/* Values of one case of a parameter. */
typedef struct HbLevels
{
	uint64_t count;
	double *codes; /* NULL: code i is low + i * step for numbers, i for choices */
} HbLevels;

typedef struct HbLatticeComponent
{
	int nparams;
	int *params; /* parents before children */
	uint64_t count;
} HbLatticeComponent;

typedef struct HbLattice
{
	const HbHost *host;
	const HbSpace *space;
	HbLevels **levels; /* by parameter and case */
	bool *parent;      /* whether a condition names the parameter */
	int ncomponents;
	HbLatticeComponent *components;
	uint64_t total; /* HB_LATTICE_MAX: that many or more */
	HbPoint point;  /* scratch */
	uint64_t work;  /* combinations walked so far */
	bool too_wide;  /* they are more than a count may take */
} HbLattice;

/*
 * False with a status when out of memory.  Sets *usable to false where the set is not finite (ALL) or a component
 * has more combinations of parents than can be walked.
 */
extern bool hb_lattice_init(HbLattice *lattice, const HbHost *host, const HbSpace *space,
							HbLatticeKind kind, bool *usable, HbStatus *status);
extern void hb_lattice_release(HbLattice *lattice);

/* Sets point to number index < total; total must be less than HB_LATTICE_MAX. */
extern void hb_lattice_point(HbLattice *lattice, uint64_t index, HbPoint *point);
/* Sets point to number digit(context, component) of each component, where total is too large to count. */
extern void hb_lattice_point_by(HbLattice *lattice,
								uint64_t (*digit)(void *context, int component, uint64_t count),
								void *context, HbPoint *point);

/* A seeded permutation of 0..total-1, computed one image at a time. */
extern uint64_t hb_permuted(uint64_t seed, uint64_t index, uint64_t total);

#endif /* HB_LATTICE_H */
