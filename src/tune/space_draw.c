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

HbJson *
hb_json_copy_scalar(const HbHost *host, const HbJson *value)
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

double
hb_dist_values(const HbDist *dist)
{
	if (dist->type == HB_DIST_FIXED || dist->type == HB_DIST_CATEGORICAL)
		return dist->nchoices;
	if (dist->low == dist->high)
		return 1;
	/* (0.3 - 0) / 0.1 is 2.9999999999999996; the last step still counts */
	return dist->step > 0 ? floor((dist->high - dist->low) / dist->step * (1 + 1e-12)) + 1 : 0;
}

/* One of low, low + step, ..., the last at most high. */
static double
stepped(const HbDist *dist, double u)
{
	double values = hb_dist_values(dist);
	double chosen = floor(u * values);

	return dist->low + (chosen < values ? chosen : values - 1) * dist->step;
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
		return stepped(dist, u);
	return between(dist->low, dist->high, u);
}

double
hb_dist_number(const HbDist *dist, double u)
{
	return clamp(draw_number(dist, u), dist->low, dist->high);
}

int
hb_dist_choice(const HbDist *dist, double u)
{
	int index = (int) (u * dist->nchoices);

	return index < dist->nchoices ? index : dist->nchoices - 1;
}

HbJson *
hb_dist_quantile(const HbHost *host, const HbDist *dist, double u)
{
	if (dist->type == HB_DIST_FLOAT || dist->type == HB_DIST_INT)
		return hb_json_number(host, hb_dist_number(dist, u));
	return hb_json_copy_scalar(host, dist->choices[hb_dist_choice(dist, u)]);
}
