/*
 * lattice.c - counting and numbering the points of a grid, or of a finite search space
 *
 * The parameters of a component are walked in order, parents first.  A parent branches: its values are tried one
 * by one, as each may switch others on.  Any other parameter multiplies the count of what follows by the number of
 * its values, since nothing depends on which one it takes.
 */
#include "tune/lattice.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"

#define MAX_WORK 200000 /* combinations of parents in one component */
#define FEISTEL_ROUNDS 8

static uint64_t
times(uint64_t a, uint64_t b)
{
	uint64_t product;

	if (__builtin_mul_overflow(a, b, &product) || product > HB_LATTICE_MAX)
		return HB_LATTICE_MAX;
	return product;
}

static uint64_t
plus(uint64_t a, uint64_t b)
{
	return a + b > HB_LATTICE_MAX ? HB_LATTICE_MAX : a + b;
}

static double *
new_codes(HbLattice *lattice, uint64_t count, HbStatus *status)
{
	double *codes = hb_alloc(lattice->host, count * sizeof(double));

	if (!codes)
		hb_fail_memory(status, count * sizeof(double));
	return codes;
}

typedef struct Choice
{
	const HbJson *value;
	int index;
} Choice;

static int
compare_choices(const void *left, const void *right)
{
	const Choice *a = left;
	const Choice *b = right;
	int order = 0;

	if (a->value->type != b->value->type)
		return a->value->type < b->value->type ? -1 : 1;
	if (a->value->type == HB_JSON_STRING)
		order = strcmp(a->value->string, b->value->string);
	else if (a->value->type == HB_JSON_NUMBER)
		order = (a->value->number > b->value->number) - (a->value->number < b->value->number);
	else if (a->value->type == HB_JSON_BOOL)
		order = a->value->boolean - b->value->boolean;
	return order ? order : (a->index > b->index) - (a->index < b->index);
}

static int
compare_codes(const void *left, const void *right)
{
	const double *a = left;
	const double *b = right;

	return (*a > *b) - (*a < *b);
}

/* The first of each group of equal choices. */
static bool
list_choices(HbLattice *lattice, const HbDist *dist, HbLevels *levels, HbStatus *status)
{
	Choice *sorted = hb_alloc(lattice->host, dist->nchoices * sizeof(*sorted));

	levels->codes = new_codes(lattice, dist->nchoices, status);
	if (!sorted || !levels->codes)
		return hb_fail_memory(status, dist->nchoices * sizeof(*sorted));
	for (int i = 0; i < dist->nchoices; i++)
		sorted[i] = (Choice){dist->choices[i], i};
	qsort(sorted, dist->nchoices, sizeof(*sorted), compare_choices);
	for (int i = 0; i < dist->nchoices; i++)
		if (i == 0 || !hb_json_equal(sorted[i].value, sorted[i - 1].value))
			levels->codes[levels->count++] = sorted[i].index;
	qsort(levels->codes, levels->count, sizeof(double), compare_codes);
	hb_release(lattice->host, sorted);
	return true;
}

/* Point i of n evenly spaced ones between the bounds, the middle where n is 1. */
static double
spaced(const HbDist *dist, int i, int n)
{
	double t = n > 1 ? (double) i / (n - 1) : 0.5;
	double value;

	if (t == 0 || t == 1)
		value = t == 0 ? dist->low : dist->high;
	else if (dist->log)
		value = exp(log(dist->low) * (1 - t) + log(dist->high) * t);
	else
		value = dist->low * (1 - t) + dist->high * t;
	if (dist->type == HB_DIST_INT && dist->log)
		value = round(value);
	else if (dist->step > 0)
		value = dist->low + round(t * (hb_dist_values(dist) - 1)) * dist->step;
	return fmin(fmax(value, dist->low), dist->high);
}

static bool
list_spaced(HbLattice *lattice, const HbDist *dist, HbLevels *levels, HbStatus *status)
{
	levels->codes = new_codes(lattice, dist->grid, status);
	if (!levels->codes)
		return false;
	for (int i = 0; i < dist->grid; i++)
	{
		double value = spaced(dist, i, dist->grid);

		if (levels->count == 0 || value > levels->codes[levels->count - 1])
			levels->codes[levels->count++] = value;
	}
	return true;
}

static bool
list_levels(HbLattice *lattice, const HbDist *dist, HbLatticeKind kind, HbLevels *levels,
			bool *usable, HbStatus *status)
{
	double values = hb_dist_values(dist);

	if (dist->type == HB_DIST_FIXED)
		levels->count = 1;
	else if (dist->type == HB_DIST_CATEGORICAL)
		return list_choices(lattice, dist, levels, status);
	else if (kind == HB_LATTICE_GRID && (values == 0 || values > dist->grid))
		return list_spaced(lattice, dist, levels, status);
	else if (values == 0)
		*usable = false;
	else
		levels->count = values < (double) HB_LATTICE_MAX ? (uint64_t) values : HB_LATTICE_MAX;
	return true;
}

static double
level_code(const HbLevels *levels, const HbDist *dist, uint64_t index)
{
	if (levels->codes)
		return levels->codes[index];
	return hb_dist_is_number(dist) ? dist->low + (double) index * dist->step : (double) index;
}

static bool
list_all_levels(HbLattice *lattice, HbLatticeKind kind, bool *usable, HbStatus *status)
{
	const HbSpace *space = lattice->space;

	for (int p = 0; p < space->nparams; p++)
	{
		const HbSpaceParam *param = &space->params[p];

		lattice->levels[p] = hb_alloc(lattice->host, param->ncases * sizeof(HbLevels));
		if (!lattice->levels[p])
			return hb_fail_memory(status, param->ncases * sizeof(HbLevels));
		for (int c = 0; c < param->ncases; c++)
		{
			if (!list_levels(lattice, &param->cases[c], kind, &lattice->levels[p][c], usable,
							 status))
				return false;
			for (int k = 0; k < param->cases[c].nconditions; k++)
				lattice->parent[param->cases[c].conditions[k].parent] = true;
		}
	}
	return true;
}

static int
root_of(int *root, int i)
{
	while (root[i] != i)
		i = root[i] = root[root[i]];
	return i;
}

/* Parameters linked by conditions, directly or not, share a component. */
static bool
find_components(HbLattice *lattice, HbStatus *status)
{
	const HbSpace *space = lattice->space;
	int n = space->nparams;
	int *root = hb_alloc(lattice->host, n * sizeof(int));
	int *component = hb_alloc(lattice->host, n * sizeof(int));
	int *params = hb_alloc(lattice->host, n * sizeof(int));

	lattice->components = hb_alloc(lattice->host, n * sizeof(*lattice->components));
	if (!root || !component || !params || !lattice->components)
		return hb_fail_memory(status, n * sizeof(*lattice->components));
	for (int i = 0; i < n; i++)
		root[i] = i;
	for (int i = 0; i < n; i++)
		for (int c = 0; c < space->params[i].ncases; c++)
			for (int k = 0; k < space->params[i].cases[c].nconditions; k++)
				root[root_of(root, i)] =
					root_of(root, space->params[i].cases[c].conditions[k].parent);
	for (int i = 0; i < n; i++)
		if (root_of(root, i) == i)
			component[i] = lattice->ncomponents++;
	for (int c = 0; c < lattice->ncomponents; c++)
	{
		HbLatticeComponent *at = &lattice->components[c];

		at->params = params;
		for (int i = 0; i < n; i++)
			if (component[root_of(root, space->order[i])] == c)
				at->params[at->nparams++] = space->order[i];
		params += at->nparams;
	}
	hb_release(lattice->host, root);
	hb_release(lattice->host, component);
	return true;
}

/* Points of the parameters from position k on, given the values before it in lattice->point. */
static uint64_t
count_from(HbLattice *lattice, const HbLatticeComponent *component, int k)
{
	HbPoint *point = &lattice->point;
	const HbDist *dist;
	const HbLevels *levels;
	uint64_t total = 0;
	int param;

	if (k == component->nparams || lattice->too_wide)
		return 1;
	if (++lattice->work > MAX_WORK)
		lattice->too_wide = true;
	param = component->params[k];
	dist = hb_space_active(lattice->space, param, point->values);
	if (!dist)
	{
		hb_point_clear(point, param);
		return count_from(lattice, component, k + 1);
	}
	levels = &lattice->levels[param][dist - lattice->space->params[param].cases];
	if (!lattice->parent[param])
	{
		/* what its value is does not matter to those that follow */
		hb_point_set(point, param, dist, level_code(levels, dist, 0));
		return times(levels->count, count_from(lattice, component, k + 1));
	}
	for (uint64_t i = 0; i < levels->count && !lattice->too_wide; i++)
	{
		hb_point_set(point, param, dist, level_code(levels, dist, i));
		total = plus(total, count_from(lattice, component, k + 1));
	}
	return total;
}

/* A part of a count that was small enough once. */
static uint64_t
count_again(HbLattice *lattice, const HbLatticeComponent *component, int k)
{
	lattice->work = 0;
	return count_from(lattice, component, k);
}

/* Gives the component's parameters their values in its point number index. */
static void
place(HbLattice *lattice, const HbLatticeComponent *component, uint64_t index)
{
	HbPoint *point = &lattice->point;

	for (int k = 0; k < component->nparams; k++)
	{
		int param = component->params[k];
		const HbDist *dist = hb_space_active(lattice->space, param, point->values);
		const HbLevels *levels;
		uint64_t rest;
		uint64_t i;

		if (!dist)
		{
			hb_point_clear(point, param);
			continue;
		}
		levels = &lattice->levels[param][dist - lattice->space->params[param].cases];
		if (!lattice->parent[param])
		{
			rest = count_again(lattice, component, k + 1);
			hb_point_set(point, param, dist,
						 level_code(levels, dist, (index / rest) % levels->count));
			index %= rest;
			continue;
		}
		for (i = 0;; i++)
		{
			hb_point_set(point, param, dist, level_code(levels, dist, i));
			rest = count_again(lattice, component, k + 1);
			if (index < rest || i + 1 == levels->count)
				break;
			index -= rest;
		}
	}
}

bool
hb_lattice_init(HbLattice *lattice, const HbHost *host, const HbSpace *space, HbLatticeKind kind,
				bool *usable, HbStatus *status)
{
	size_t n = space->nparams;

	*lattice = (HbLattice){.host = host, .space = space, .total = 1};
	*usable = true;
	lattice->levels = hb_alloc(host, n * sizeof(*lattice->levels));
	lattice->parent = hb_alloc(host, n * sizeof(bool));
	if (!lattice->levels || !lattice->parent)
		return hb_fail_memory(status, n * sizeof(*lattice->levels));
	if (!hb_point_init(&lattice->point, host, space, status) ||
		!list_all_levels(lattice, kind, usable, status) || !find_components(lattice, status))
		return false;
	for (int c = 0; *usable && c < lattice->ncomponents; c++)
	{
		HbLatticeComponent *component = &lattice->components[c];

		lattice->work = 0;
		component->count = count_from(lattice, component, 0);
		lattice->total = times(lattice->total, component->count);
	}
	*usable = *usable && !lattice->too_wide;
	return true;
}

void
hb_lattice_release(HbLattice *lattice)
{
	const HbHost *host = lattice->host;

	for (int p = 0; lattice->levels && p < lattice->space->nparams; p++)
	{
		for (int c = 0; lattice->levels[p] && c < lattice->space->params[p].ncases; c++)
			hb_release(host, lattice->levels[p][c].codes);
		hb_release(host, lattice->levels[p]);
	}
	if (lattice->components)
		hb_release(host, lattice->components[0].params);
	hb_release(host, lattice->components);
	hb_release(host, lattice->levels);
	hb_release(host, lattice->parent);
	hb_point_release(&lattice->point, host);
}

static void
copy_point(const HbPoint *from, HbPoint *to)
{
	for (int i = 0; i < from->space->nparams; i++)
		if (from->dists[i])
			hb_point_set(to, i, from->dists[i], from->codes[i]);
		else
			hb_point_clear(to, i);
}

void
hb_lattice_point_by(HbLattice *lattice,
					uint64_t (*digit)(void *context, int component, uint64_t count), void *context,
					HbPoint *point)
{
	for (int c = 0; c < lattice->ncomponents; c++)
		place(lattice, &lattice->components[c], digit(context, c, lattice->components[c].count));
	copy_point(&lattice->point, point);
}

static uint64_t
mixed_radix(void *context, int component, uint64_t count)
{
	uint64_t *rest = context;
	uint64_t digit = *rest % count;

	*rest /= count;
	return digit;
}

void
hb_lattice_point(HbLattice *lattice, uint64_t index, HbPoint *point)
{
	hb_lattice_point_by(lattice, mixed_radix, &index, point);
}

/*
 * A Feistel network over the smallest even number of bits that holds total, walked until it lands inside
 * (Black and Rogaway, Ciphers with arbitrary finite domains, CT-RSA 2002): at most four steps on average.
 */
uint64_t
hb_permuted(uint64_t seed, uint64_t index, uint64_t total)
{
	int half = 1;
	uint64_t mask;

	while (half < 32 && (UINT64_C(1) << (2 * half)) < total)
		half++;
	mask = (UINT64_C(1) << half) - 1;
	do
	{
		uint64_t left = index >> half;
		uint64_t right = index & mask;

		for (int round = 0; round < FEISTEL_ROUNDS; round++)
		{
			uint32_t words[4];
			uint64_t next;

			hb_random4(seed, HB_STREAM_GRID, right, (uint32_t) round, words);
			next = left ^ (words[0] & mask);
			left = right;
			right = next;
		}
		index = left << half | right;
	} while (index >= total);
	return index;
}
