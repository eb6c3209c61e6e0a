/*
 * space_draw.c - which parameters are active, and values from a uniform number
 *
 * Log-scaled integers follow Optuna: uniform in log[low - 1/2, high + 1/2], rounded, so that the smallest
 * value gets its fair share.
 */
#include "tune/space.h"

#include <math.h>

static bool
condition_holds(const HbCondition *condition, const HbJson *const *values)
{
	const HbJson *value = values[condition->parent];

	for (int i = 0; value && i < condition->nvalues; i++)
		if (hb_json_equal(value, condition->values[i]))
			return true;
	return false;
}

const HbDist *
hb_space_active(const HbSpace *space, int param, const HbJson *const *values)
{
	const HbSpaceParam *declared = &space->params[param];

	for (int c = 0; c < declared->ncases; c++)
	{
		const HbDist *dist = &declared->cases[c];
		int i = 0;

		while (i < dist->nconditions && condition_holds(&dist->conditions[i], values))
			i++;
		if (i == dist->nconditions)
			return dist;
	}
	return NULL;
}

/* Choices are scalars. */
static HbJson *
copy_scalar(const HbHost *host, const HbJson *value)
{
	switch (value->type)
	{
		case HB_JSON_BOOL:
			return hb_json_bool(host, value->boolean);
		case HB_JSON_NUMBER:
			return hb_json_number(host, value->number);
		case HB_JSON_STRING:
			return hb_json_string(host, value->string);
		default:
			return hb_json_null(host);
	}
}

static double
clamp(double value, double low, double high)
{
	return value < low ? low : value > high ? high : value;
}

static double
between(double low, double high, double u)
{
	/* the difference of two finite bounds may not be finite */
	return isfinite(high - low) ? low + u * (high - low) : low * (1 - u) + high * u;
}

/* One of low, low + step, ..., the last at most high. */
static double
stepped(double low, double high, double step, double u)
{
	/* (0.3 - 0) / 0.1 is 2.9999999999999996; the last step still counts */
	double steps = floor((high - low) / step * (1 + 1e-12));
	double chosen = floor(u * (steps + 1));

	return low + (chosen < steps ? chosen : steps) * step;
}

static double
draw_number(const HbDist *dist, double u)
{
	double half = dist->type == HB_DIST_INT ? 0.5 : 0.0;

	if (dist->low == dist->high)
		return dist->low;
	if (dist->log)
	{
		double value = exp(between(log(dist->low - half), log(dist->high + half), u));

		return half > 0 ? floor(value + half) : value;
	}
	if (dist->step > 0)
		return stepped(dist->low, dist->high, dist->step, u);
	return between(dist->low, dist->high, u);
}

HbJson *
hb_dist_quantile(const HbHost *host, const HbDist *dist, double u)
{
	int index;

	switch (dist->type)
	{
		case HB_DIST_FIXED:
			return copy_scalar(host, dist->choices[0]);
		case HB_DIST_CATEGORICAL:
			index = (int) (u * dist->nchoices);
			return copy_scalar(host,
							   dist->choices[index < dist->nchoices ? index : dist->nchoices - 1]);
		default:
			return hb_json_number(host, clamp(draw_number(dist, u), dist->low, dist->high));
	}
}
