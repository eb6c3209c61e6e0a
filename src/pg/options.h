/*
 * options.h - the options jsonb of hyperband_tune, one table of keys
 *
 * Unknown keys are 22023, keys that the specification names but this release does not build are 0A000.
 */
#ifndef HB_OPTIONS_H
#define HB_OPTIONS_H

#include "pg.h"

typedef struct HbOptions
{
	bool strict;
	bool rounding_ceil;		 /* {"rounding": "ceil"}; default "floor" */
	int64 max_rows;			 /* 0: all */
	double clip;			 /* 5 */
	int curve_points;		 /* 0: the default rule of core/job.h */
	int64 split_seed;		 /* 0 */
	double test;			 /* 0: no test rows */
	bool on_change_reload;	 /* {"on_change": "reload"}; default "error" */
} HbOptions;

extern void hb_options_parse(Jsonb *jsonb, HbOptions *options); /* raises */

#endif /* HB_OPTIONS_H */
