/*
 * param.h - how a model family declares one hyperparameter
 *
 * hyperband_models(), the default search spaces and the checks of a user's space all read these
 * declarations, so what a user sees cannot drift from what is trained.
 */
#ifndef HB_PARAM_H
#define HB_PARAM_H

#include <stdbool.h>

typedef enum HbParamType
{
	HB_PARAM_FLOAT,
	HB_PARAM_INT,
	HB_PARAM_CATEGORICAL
} HbParamType;

/* A parameter is active where its parent is active and has one of these values. */
typedef struct HbParamWhen
{
	const char *parent;        /* NULL: always active */
	const char *const *values; /* NULL-terminated; numbers as text ("2") */
} HbParamWhen;

/* One default range; the first case whose condition holds counts. */
typedef struct HbParamCase
{
	HbParamWhen when;
	double low;
	double high;
	bool log;
	const char *const
		*choices; /* default space is a list of these, NULL-terminated; else low..high */
	double
		default_value; /* number, or for a categorical the index in HbParamDecl.choices; NaN: depends on the
						   * table (batch_size, loss) or on another parameter (default_parameter) */
} HbParamCase;

typedef struct HbParamDecl
{
	const char *name;
	HbParamType type;
	const char *const *choices; /* categorical: every legal value, NULL-terminated */
	double legal_low;           /* numbers: what training accepts, inclusive */
	double legal_high;
	bool in_default_space; /* false: at its default unless a user's space names it */
	const HbParamCase *cases;
	int ncases;
	const char *description; /* for hyperband_models(), a phrase with the unit */
	const char
		*default_parameter; /* not NULL: the default is this parameter's value, default_value NaN */
} HbParamDecl;

#define HB_MAX_PARAMS 32

#endif /* HB_PARAM_H */
