/*
 * fuzz_space.c - libFuzzer target: the search-space parser and what is drawn from what it accepts
 *
 * Bytes are a small language of JSON values, since the parser takes a tree; keys and texts come mostly from the grammar of
 * search spaces.  From a space that is accepted every sampler draws, and each number must lie within its bounds.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_host.h"
#include "learn/family.h"
#include "tune/sampler.h"

#define DEPTH 6
#define DRAWS 3

typedef struct Input
{
	const uint8_t *at, *end;
} Input;

static const char *const words[] = {"type",
									"float",
									"int",
									"categorical",
									"fixed",
									"low",
									"high",
									"log",
									"step",
									"grid",
									"when",
									"cases",
									"choices",
									"value",
									"name",
									"attributes",
									"FloatDistribution",
									"IntDistribution",
									"CategoricalDistribution",
									"a",
									"b",
									"c",
									"learning_rate",
									"units",
									"optimizer",
									"adam",
									"",
									"NaN"};
static const double numbers[] = {0,
								 -0.0,
								 1,
								 2,
								 3,
								 0.5,
								 -1,
								 10,
								 1e-300,
								 1e300,
								 1e308,
								 INFINITY,
								 -INFINITY,
								 NAN,
								 9007199254740992.0,
								 9223372036854775807.0,
								 -9223372036854775808.0,
								 2147483648.0,
								 5e-324,
								 0.1,
								 1e9,
								 10001};

static unsigned
take(Input *input)
{
	return input->at < input->end ? *input->at++ : 0;
}

static const char *
take_word(Input *input, char buffer[8])
{
	unsigned which = take(input);

	if (which < 224)
		return words[which % (sizeof words / sizeof *words)];
	for (int i = 0; i < 7; i++)
		buffer[i] = (char) take(input);
	buffer[7] = 0;
	return buffer;
}

static HbJson *
take_number(Input *input)
{
	unsigned which = take(input);
	double value = numbers[which % (sizeof numbers / sizeof *numbers)];

	if (which >= 192)
		for (size_t i = 0; i < sizeof value; i++)
			((uint8_t *) &value)[i] = (uint8_t) take(input);
	return hb_json_number(&fuzz_host, value);
}

static HbJson *
take_value(Input *input, int depth)
{
	char buffer[8];
	unsigned kind = take(input) % 8, n;
	HbJson *value;

	if (kind >= 5 && depth < DEPTH)
	{
		n = take(input) % 9;
		value = kind == 5 ? hb_json_array(&fuzz_host) : hb_json_object(&fuzz_host);
		for (unsigned i = 0; i < n; i++)
		{
			const char *key = kind == 5 ? NULL : hb_strdup(&fuzz_host, take_word(input, buffer));
			HbJson *member = take_value(input, depth + 1);

			if (kind == 5)
				hb_json_push(&fuzz_host, value, member);
			else if (hb_json_get(value, key) == NULL) /* jsonb has no key twice */
				hb_json_set(&fuzz_host, value, key, member);
		}
		return value;
	}
	switch (kind)
	{
		case 0:
			return hb_json_null(&fuzz_host);
		case 1:
			return hb_json_bool(&fuzz_host, take(input) & 1);
		case 2:
			return hb_json_string(&fuzz_host, take_word(input, buffer));
		default:
			return take_number(input);
	}
}

/* The case that a value came from is not known here: it must lie within one of them. */
static void
check_config(const HbSpace *space, const HbJson *config)
{
	for (int p = 0; p < space->nparams; p++)
	{
		const HbSpaceParam *param = &space->params[p];
		const HbJson *value = hb_json_get(config, param->name);
		bool within = value == NULL;

		for (int c = 0; c < param->ncases && !within; c++)
		{
			const HbDist *dist = &param->cases[c];

			if (dist->type == HB_DIST_FLOAT || dist->type == HB_DIST_INT)
				within = value->type == HB_JSON_NUMBER && isfinite(value->number) &&
						 value->number >= dist->low && value->number <= dist->high;
			for (int i = 0; i < dist->nchoices && !within; i++)
				within = hb_json_equal(value, dist->choices[i]);
		}
		if (!within)
			abort();
	}
}

static void
draw(const HbSpace *space, uint64_t seed)
{
	HbStatus status;

	for (int s = 0; hb_samplers[s] != NULL; s++)
	{
		HbSamplerMemo memo = {0};
		HbObservation observations[DRAWS];
		HbSampleRequest request = {.host = &fuzz_host,
								   .space = space,
								   .seed = seed,
								   .memo = &memo,
								   .observations = observations};

		for (int i = 0; i < DRAWS; i++)
		{
			HbJson *config;

			request.number = i + 1;
			hb_status_init(&status);
			config = hb_samplers[s]->sample(&request, &status);
			if (config == NULL)
				break;
			check_config(space, config);
			observations[i] = (HbObservation){.number = i + 1,
											  .resource = 1,
											  .loss = i == 1 ? NAN : 1.0 / (i + 1),
											  .config = config};
			request.nobservations++;
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input input = {data, data + size};
	HbJson *json = take_value(&input, 0);
	HbStatus status;
	HbSpace *space;

	hb_status_init(&status);
	space = hb_space_parse(&fuzz_host, json, &status);
	if (space != NULL)
		draw(space, size);
	else if (status.sqlstate[0] == '\0' || strcmp(status.sqlstate, HB_ERR_INTERNAL) == 0)
		abort();
	fuzz_release_all();
	return 0;
}
