/*
 * point.c - configurations without JSON: coordinates, reading, comparing, and JSON at the end
 */
#include "tune/point.h"

#include <math.h>
#include <string.h>

#define ROUNDING 1e-12 /* relative; a value may have travelled as decimal text */
#define WHOLE_STEPS 1e-6

bool
hb_point_init(HbPoint *point, const HbHost *host, const HbSpace *space, HbStatus *status)
{
	size_t n = space->nparams;

	*point = (HbPoint){.space = space};
	point->dists = hb_alloc(host, n * sizeof(*point->dists));
	point->values = hb_alloc(host, n * sizeof(*point->values));
	point->codes = hb_alloc(host, n * sizeof(*point->codes));
	point->numbers = hb_alloc(host, n * sizeof(*point->numbers));
	if (point->dists && point->values && point->codes && point->numbers)
		return true;
	hb_point_release(point, host);
	return hb_fail_memory(status, n * sizeof(HbJson));
}

void
hb_point_release(HbPoint *point, const HbHost *host)
{
	hb_release(host, point->dists);
	hb_release(host, point->values);
	hb_release(host, point->codes);
	hb_release(host, point->numbers);
	*point = (HbPoint){0};
}

void
hb_point_clear(HbPoint *point, int param)
{
	point->dists[param] = NULL;
	point->values[param] = NULL;
}

void
hb_point_set(HbPoint *point, int param, const HbDist *dist, double code)
{
	point->dists[param] = dist;
	point->codes[param] = code;
	if (hb_dist_is_number(dist))
	{
		point->numbers[param].type = HB_JSON_NUMBER;
		point->numbers[param].number = code;
		point->values[param] = &point->numbers[param];
	}
	else
		point->values[param] = dist->choices[(int) code];
}

void
hb_point_draw(HbPoint *point, HbPointDraw draw, void *context)
{
	const HbSpace *space = point->space;

	for (int i = 0; i < space->nparams; i++)
		hb_point_clear(point, i);
	for (int i = 0; i < space->nparams; i++)
	{
		int param = space->order[i];
		const HbDist *dist = hb_space_active(space, param, point->values);
		double u;

		if (!dist)
			continue;
		u = hb_dist_is_free(dist) ? draw(context, param, dist) : 0;
		hb_point_set(point, param, dist,
					 hb_dist_is_number(dist) ? hb_dist_number(dist, u) : hb_dist_choice(dist, u));
	}
}

static bool
same_number(double a, double b)
{
	return fabs(a - b) <= ROUNDING * fmax(fabs(a), fabs(b));
}

/* The code of a value under dist; false where dist does not have it. */
static bool
encode(const HbDist *dist, const HbJson *value, double *code)
{
	if (hb_dist_is_number(dist))
	{
		double steps = dist->step > 0 ? (value->number - dist->low) / dist->step : 0;

		*code = value->number;
		return value->type == HB_JSON_NUMBER && *code >= dist->low - ROUNDING * fabs(dist->low) &&
			   *code <= dist->high + ROUNDING * fabs(dist->high) &&
			   (dist->type != HB_DIST_INT || *code == rint(*code)) &&
			   fabs(steps - rint(steps)) <= WHOLE_STEPS;
	}
	for (int i = 0; i < dist->nchoices; i++)
		if (hb_json_equal(value, dist->choices[i]))
		{
			*code = i;
			return true;
		}
	return false;
}

bool
hb_point_read(HbPoint *point, const HbJson *config)
{
	const HbSpace *space = point->space;

	for (int i = 0; i < space->nparams; i++)
		hb_point_clear(point, i);
	for (int i = 0; i < space->nparams; i++)
	{
		int param = space->order[i];
		const HbDist *dist = hb_space_active(space, param, point->values);
		const HbJson *value;
		double code;

		if (!dist)
			continue;
		value = hb_json_get(config, space->params[param].name);
		if (!value || !encode(dist, value, &code))
			return false;
		hb_point_set(point, param, dist, code);
	}
	return true;
}

HbJson *
hb_point_config(const HbPoint *point, const HbHost *host, HbStatus *status)
{
	const HbSpace *space = point->space;
	HbJson *config = hb_json_object(host);

	for (int i = 0; config && i < space->nparams; i++)
		if (point->values[i])
			config = hb_json_set(host, config, space->params[i].name,
								 hb_json_copy_scalar(host, point->values[i]));
	if (!config)
		hb_fail_memory(status, space->nparams * sizeof(HbJson));
	return config;
}

bool
hb_point_equals(const HbPoint *point, const HbJson *config)
{
	const HbSpace *space = point->space;
	int active = 0;

	for (int i = 0; i < space->nparams; i++)
	{
		const HbJson *mine = point->values[i];
		const HbJson *other;

		if (!mine)
			continue;
		/* usually the members come in the same order */
		if (active < config->count && strcmp(config->keys[active], space->params[i].name) == 0)
			other = config->items[active];
		else
			other = hb_json_get(config, space->params[i].name);
		if (!other || other->type != mine->type)
			return false;
		if (mine->type == HB_JSON_NUMBER ? !same_number(mine->number, other->number)
										 : !hb_json_equal(mine, other))
			return false;
		active++;
	}
	return active == config->count;
}

/* (x - low) / (high - low), also where the difference overflows. */
static double
fraction(double x, double low, double high)
{
	return (x / 2 - low / 2) / (high / 2 - low / 2);
}

double
hb_dist_coordinate(const HbDist *dist, double number)
{
	double half = dist->type == HB_DIST_INT ? 0.5 : 0;
	double u;

	if (!(dist->low < dist->high))
		return 0.5;
	if (dist->log)
		u = fraction(log(number), log(dist->low - half), log(dist->high + half));
	else if (dist->step > 0)
		u = ((number - dist->low) / dist->step + 0.5) / hb_dist_values(dist);
	else
		u = fraction(number, dist->low, dist->high);
	return fmin(fmax(u, 0), 1);
}

bool
hb_dist_cell(const HbDist *dist, double number, double *low, double *high)
{
	double values = hb_dist_values(dist);
	double index;

	if (values == 0)
		return false;
	if (dist->log)
	{
		double bottom = log(dist->low - 0.5);
		double top = log(dist->high + 0.5);

		*low = fraction(log(number - 0.5), bottom, top);
		*high = fraction(log(number + 0.5), bottom, top);
		return true;
	}
	index = round((number - dist->low) / dist->step);
	*low = index / values;
	*high = (index + 1) / values;
	return true;
}
