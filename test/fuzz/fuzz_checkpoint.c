/*
 * fuzz_checkpoint.c - libFuzzer target: bytes of checkpoints and models
 *
 * They are read as they come and once more with a length and a checksum that fit, so that what lies behind those checks
 * is reached.  An opened model must predict, and a checkpoint that opens must become a model that opens.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "learn/family.h"

#define HEADER 24 /* magic, version, length, checksum */
#define MANY 4096 /* inputs or outputs: more would only be slow */

static const HbHost *host = &hb_host_malloc;

static void
predict(const HbFamily *family, HbModel *model)
{
	HbModelInfo info;
	float *inputs, *scores;

	hb_model_info(model, &info);
	if (info.inputs > MANY || info.outputs > MANY)
		return;
	inputs = calloc((size_t) info.inputs * 3, sizeof(float));
	scores = calloc((size_t) info.outputs * 3, sizeof(float));
	family->predict(model, inputs, 3, info.inputs, scores);
	free(inputs);
	free(scores);
}

static void
open_bytes(const void *bytes, size_t length)
{
	HbStatus status;
	HbModel *model;
	void *out;
	size_t size;

	for (int f = 0; hb_families[f] != NULL; f++)
	{
		hb_status_init(&status);
		model = hb_families[f]->open(host, bytes, length, &status);
		if (model == NULL)
			continue;
		predict(hb_families[f], model);
		hb_families[f]->close(model);
	}
	hb_status_init(&status);
	if (!hb_checkpoint_to_model(host, bytes, length, &out, &size, &status))
		return;
	if (!hb_checkpoint_check(out, size, &status))
		abort();
	hb_release(host, out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t length = size, checksum;
	uint8_t *bytes = malloc(size + 1);

	memcpy(bytes, data, size);
	open_bytes(bytes, size);
	if (size >= HEADER)
	{
		memcpy(bytes, &(uint32_t){0x4b434248}, 4); /* "HBCK" */
		memcpy(bytes + 4, &(uint32_t){1}, 4);
		memcpy(bytes + 8, &length, 8);
		checksum = hb_hash64(bytes + HEADER, size - HEADER, length);
		memcpy(bytes + 16, &checksum, 8);
		open_bytes(bytes, size);
	}
	free(bytes);
	return 0;
}
