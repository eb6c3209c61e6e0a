/*
 * options.h - the options jsonb of hyperband_tune, one table of keys
 *
 * Unknown keys are 22023, keys that the specification names but this release does not build are 0A000.
 */
#ifndef HB_OPTIONS_H
#define HB_OPTIONS_H

#include "pg.h"

#include "compute/provider.h"

typedef struct HbOptions
{
	bool strict;
	bool rounding_ceil;    /* {"rounding": "ceil"}; default "floor" */
	HbPrecision precision; /* {"precision": "high"} */
	int64 max_rows;        /* 0: all */
	double clip;           /* 5 */
	int curve_points;      /* 0: the default rule of core/job.h */
	int64 split_seed;      /* 0 */
	double test;           /* 0: no test rows */
	bool on_change_reload; /* {"on_change": "reload"}; default "error" */
	int64
		lease;  /* microseconds that a worker has for each sign of life; 0: while it is connected */
	int epochs; /* of each training where the resource is rows or folds; 0: the default */
	int64 warm_start; /* study whose trials come first; 0: none */
	int64 n_trials;   /* hyperband_simulate; 0: the scheduler's own count */
	int64 budget;     /* hyperband_simulate; 0: none */
} HbOptions;

/* Who takes the options: each of them knows only some of the keys. */
typedef enum HbOptionsFor
{
	HB_OPTIONS_TABLE = 1,   /* hyperband_tune, hyperband_plan */
	HB_OPTIONS_WORKERS = 2, /* hyperband_create_study, hyperband_minimize */
	HB_OPTIONS_SIMULATE = 4 /* hyperband_simulate */
} HbOptionsFor;

extern void hb_options_parse(Jsonb *jsonb, HbOptions *options); /* of a table; raises */
extern void hb_options_parse_for(Jsonb *jsonb, HbOptionsFor who, HbOptions *options);

#endif /* HB_OPTIONS_H */
