/*
 * point.h - one configuration of a search space while a sampler works on it
 *
 * Samplers draw, read and compare thousands of configurations for one proposal; a point holds one without
 * building JSON.  Every number has a coordinate in [0,1], linear in the value or in its logarithm: the u that
 * hb_dist_quantile() maps to it (the middle of its cell, where the value is discrete).
 */
#ifndef HB_POINT_H
#define HB_POINT_H

#include "tune/space.h"

typedef struct HbPoint
{
	const HbSpace *space;
	const HbDist **dists;  /* the case in force for each parameter; NULL: inactive */
	const HbJson **values; /* NULL: inactive */
	double *codes;         /* the number, or the index of the choice */
	HbJson *numbers;       /* what values of numbers point to */
} HbPoint;

/* u in [0,1) for an active parameter. */
typedef double (*HbPointDraw)(void *context, int param, const HbDist *dist);

/* False with a status when out of memory. */
extern bool
hb_point_init(HbPoint *point, const HbHost *host, const HbSpace *space, HbStatus *status);
extern void hb_point_release(HbPoint *point, const HbHost *host);

/* Gives a parameter its value; parents come before children (HbSpace.order). */
extern void hb_point_set(HbPoint *point, int param, const HbDist *dist, double code);
extern void hb_point_clear(HbPoint *point, int param);
/* Draws every active parameter, parents first. */
extern void hb_point_draw(HbPoint *point, HbPointDraw draw, void *context);

/* Takes over a configuration; false where it is none of this space (a value outside, a parameter missing). */
extern bool hb_point_read(HbPoint *point, const HbJson *config);
/* The active parameters in the order of the space; NULL with a status when out of memory. */
extern HbJson *hb_point_config(const HbPoint *point, const HbHost *host, HbStatus *status);
/* Whether config has the same active parameters and values; numbers may differ by rounding. */
extern bool hb_point_equals(const HbPoint *point, const HbJson *config);

/* The coordinate of a number. */
extern double hb_dist_coordinate(const HbDist *dist, double number);
/* The cell [low, high] of coordinates that are drawn as this number; false for a continuum. */
extern bool hb_dist_cell(const HbDist *dist, double number, double *low, double *high);

static inline bool
hb_dist_is_number(const HbDist *dist)
{
	return dist->type == HB_DIST_FLOAT || dist->type == HB_DIST_INT;
}

/* More than one value to choose from. */
static inline bool
hb_dist_is_free(const HbDist *dist)
{
	return hb_dist_is_number(dist) ? dist->low < dist->high : dist->nchoices > 1;
}

#endif /* HB_POINT_H */
