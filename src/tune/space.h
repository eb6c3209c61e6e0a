/*
 * space.h - search spaces, parsed once, drawn from many times
 *
 *   space = {name: param, ...}
 *   param = scalar | [choice, ...] | dist | {"cases": [dist with when, ...]}
 *   dist  = {"type": "float", "low", "high", "log", "step", "grid", "when"} | {"type": "int", ...}
 *         | {"type": "categorical", "choices", "when"} | {"type": "fixed", "value", "when"}
 *         | {"name": "FloatDistribution" | "IntDistribution" | "CategoricalDistribution", "attributes": {...}}
 *   when  = {parent: value | [values], ...}: all must hold; the parent must be active and match
 *
 * Knows nothing of model families.  Optuna's stored distributions are accepted beside our own form.
 */
#ifndef HB_SPACE_H
#define HB_SPACE_H

#include <stdint.h>

#include "core/host.h"
#include "core/json.h"
#include "core/status.h"

typedef enum HbDistType
{
	HB_DIST_FLOAT,
	HB_DIST_INT,
	HB_DIST_CATEGORICAL,
	HB_DIST_FIXED
} HbDistType;

typedef struct HbCondition
{
	int parent; /* index in HbSpace.params */
	int nvalues;
	const HbJson **values;
} HbCondition;

typedef struct HbDist
{
	HbDistType type;
	double low;
	double high;
	bool log;
	double step;  /* 0: none */
	int grid;     /* points of the grid sampler; default 5 */
	int nchoices; /* CATEGORICAL, and 1 for FIXED */
	const HbJson **choices;
	int nconditions; /* all must hold */
	HbCondition *conditions;
} HbDist;

typedef struct HbSpaceParam
{
	const char *name;
	uint64_t name_hash; /* keys the parameter's random stream */
	int ncases;         /* the first whose conditions hold counts */
	HbDist *cases;
} HbSpaceParam;

typedef struct HbSpace
{
	int nparams;
	HbSpaceParam *params; /* in the order of the JSON */
	int *order;           /* parents before children */
} HbSpace;

/* NULL with a status where the JSON is no search space (22023, 22003, 54000). */
extern HbSpace *hb_space_parse(const HbHost *host, const HbJson *json, HbStatus *status);

/* The first case of param whose conditions hold under values (one per parameter, NULL: inactive); NULL: inactive. */
extern const HbDist *hb_space_active(const HbSpace *space, int param, const HbJson *const *values);

/* u in [0,1) to a value of dist: inclusive bounds; log int uniform in log[low-1/2, high+1/2], rounded. */
extern HbJson *hb_dist_quantile(const HbHost *host, const HbDist *dist, double u);

/* The same without a JSON value: the number of a FLOAT or INT, the index of a choice of the others. */
extern double hb_dist_number(const HbDist *dist, double u);
extern int hb_dist_choice(const HbDist *dist, double u);

/* A copy of a scalar. */
extern HbJson *hb_json_copy_scalar(const HbHost *host, const HbJson *value);

/* Values that a stepped float or a linear integer can take; 0: a continuum. A log-scaled integer takes every integer. */
extern double hb_dist_values(const HbDist *dist);

#endif /* HB_SPACE_H */
