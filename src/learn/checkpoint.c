/*
 * checkpoint.c - a trial's state as bytes, and back
 *
 * Header: magic, version, total length, XXH3-64 of everything behind the header.  Then sections, each
 * with a tag, a version and a length, padded to 8 bytes: SHAPE, WEIGHTS, OPTIMIZER, PROGRESS; unknown
 * tags are skipped, so later releases can add averaged weights.  Weights are float32 without
 * padding, the same for every provider.  Users can write these bytes into the table, so nothing is believed before it
 * is checked.
 */
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "learn/network.h"

#define CHECKPOINT_MAGIC 0x4b434248u /* "HBCK" */
#define CHECKPOINT_VERSION 1
#define SECTION_VERSION 1
#define MAX_INPUTS (1u << 20)
#define MAX_OUTPUTS 65536u

typedef struct Header
{
	uint32_t magic;
	uint32_t version;
	uint64_t total;
	uint64_t checksum;
} Header;

typedef enum SectionTag
{
	SECTION_SHAPE = 1,
	SECTION_WEIGHTS = 2,
	SECTION_OPTIMIZER = 3,
	SECTION_PROGRESS = 4
} SectionTag;

typedef struct Section
{
	uint32_t tag;
	uint32_t version;
	uint64_t length;
} Section;

typedef struct ShapeSection
{
	uint32_t task;
	uint32_t loss;
	uint32_t activation;
	uint32_t inputs;
	uint32_t outputs;
	uint32_t layers;
	uint32_t units[HB_MAX_LAYERS];
} ShapeSection;

typedef struct OptimizerSection
{
	uint32_t rule;
	uint32_t slots;
} OptimizerSection;

typedef struct ProgressSection
{
	uint64_t step;
	double best_loss;
} ProgressSection;

static bool
corrupted(HbStatus *status, const char *what)
{
	hb_fail(status, HB_ERR_CORRUPTED, "checkpoint is corrupted");
	return hb_fail_detail(status, "%s", what);
}

bool
hb_checkpoint_check(const void *bytes, size_t length, HbStatus *status)
{
	Header header;

	if (length < sizeof header)
		return corrupted(status, "It is shorter than its header.");
	memcpy(&header, bytes, sizeof header);
	if (header.magic != CHECKPOINT_MAGIC)
		return corrupted(status, "It does not start as a checkpoint does.");
	if (header.version != CHECKPOINT_VERSION)
		return corrupted(status, "Its format version is not known.");
	if (header.total != length)
		return corrupted(status, "Its length is not the recorded one.");
	if (header.checksum !=
		hb_hash64((const char *) bytes + sizeof header, length - sizeof header, header.total))
		return corrupted(status, "Its checksum is wrong.");
	return true;
}

static bool
shape_valid(const ShapeSection *s)
{
	bool regression = s->task == HB_TASK_REGRESSION;

	if (s->task > HB_TASK_CLASSIFICATION || s->loss >= HB_LOSS_COUNT ||
		s->activation >= HB_ACTIVATION_COUNT || s->inputs < 1 || s->inputs > MAX_INPUTS ||
		s->layers < 1 || s->layers > HB_MAX_LAYERS)
		return false;
	if (hb_losses[s->loss].task != (HbTask) s->task)
		return false;
	if (regression ? s->outputs != 1 : s->outputs < 2 || s->outputs > MAX_OUTPUTS)
		return false;
	for (uint32_t l = 0; l + 1 < s->layers; l++)
		if (s->units[l] < 1 || s->units[l] > HB_MAX_UNITS)
			return false;
	return s->units[s->layers - 1] == hb_loss_units((HbLossId) s->loss, s->outputs);
}

static bool
open_shape(const unsigned char *payload, size_t length, HbCheckpoint *checkpoint)
{
	ShapeSection s;

	if (length != sizeof s)
		return false;
	memcpy(&s, payload, sizeof s);
	if (!shape_valid(&s))
		return false;
	checkpoint->shape = (HbShape){.task = (HbTask) s.task,
								  .loss = (HbLossId) s.loss,
								  .activation = (HbActivation) s.activation,
								  .inputs = s.inputs,
								  .outputs = s.outputs,
								  .layers = s.layers};
	memcpy(checkpoint->shape.units, s.units, s.layers * sizeof(uint32_t));
	return true;
}

static bool
open_optimizer(const unsigned char *payload, size_t length, HbCheckpoint *checkpoint)
{
	OptimizerSection s;

	if (checkpoint->shape.layers == 0 || length < sizeof s)
		return false;
	memcpy(&s, payload, sizeof s);
	if (s.rule >= (uint32_t) hb_noptimizers || s.slots != (uint32_t) hb_optimizers[s.rule].slots ||
		length != sizeof s + s.slots * hb_shape_weights(&checkpoint->shape) * sizeof(float))
		return false;
	checkpoint->rule = hb_optimizers[s.rule].rule;
	checkpoint->slots = s.slots;
	checkpoint->state = payload + sizeof s;
	return true;
}

static bool
open_section(const Section *section, const unsigned char *payload, HbCheckpoint *checkpoint)
{
	ProgressSection progress;

	if (section->tag >= SECTION_SHAPE && section->tag <= SECTION_PROGRESS &&
		section->version != SECTION_VERSION)
		return false;
	switch (section->tag)
	{
		case SECTION_SHAPE:
			return checkpoint->shape.layers == 0 &&
				   open_shape(payload, section->length, checkpoint);
		case SECTION_WEIGHTS:
			if (checkpoint->shape.layers == 0 || checkpoint->weights != NULL ||
				section->length != hb_shape_weights(&checkpoint->shape) * sizeof(float))
				return false;
			checkpoint->weights = payload;
			return true;
		case SECTION_OPTIMIZER:
			return checkpoint->state == NULL &&
				   open_optimizer(payload, section->length, checkpoint);
		case SECTION_PROGRESS:
			if (section->length != sizeof progress)
				return false;
			memcpy(&progress, payload, sizeof progress);
			checkpoint->has_progress = true;
			checkpoint->step = progress.step;
			checkpoint->best_loss = progress.best_loss;
			return true;
		default:
			return true;
	}
}

bool
hb_checkpoint_open(const void *bytes, size_t length, HbCheckpoint *checkpoint, HbStatus *status)
{
	const unsigned char *data = bytes;
	size_t at = sizeof(Header);

	*checkpoint = (HbCheckpoint){.step = 0};
	if (!hb_checkpoint_check(bytes, length, status))
		return false;
	while (at < length)
	{
		Section section;

		if (length - at < sizeof section)
			return corrupted(status, "A section is cut short.");
		memcpy(&section, data + at, sizeof section);
		at += sizeof section;
		if (section.length > length - at)
			return corrupted(status, "A section is longer than what is left.");
		if (!open_section(&section, data + at, checkpoint))
			return corrupted(status, "A section does not hold what it should.");
		at += section.length;
		at += (8 - section.length % 8) % 8;
	}
	if (checkpoint->shape.layers == 0 || checkpoint->weights == NULL)
		return corrupted(status, "It has no weights.");
	return true;
}

/* Floats of one set of arrays in the order of layers: rows of w, then b. */
static const unsigned char *
read_layer(const unsigned char *from, const HbLayer *layer, hb_real *w, hb_real *b)
{
	for (size_t i = 0; i < layer->units; i++)
		for (size_t j = 0; j < layer->inputs; j++, from += sizeof(float))
		{
			float value;

			memcpy(&value, from, sizeof value);
			w[i * layer->stride + j] = value;
		}
	for (size_t i = 0; i < layer->units; i++, from += sizeof(float))
	{
		float value;

		memcpy(&value, from, sizeof value);
		b[i] = value;
	}
	return from;
}

void
hb_checkpoint_read(const HbCheckpoint *checkpoint, HbNetwork *network)
{
	const unsigned char *from = checkpoint->weights;

	for (uint32_t l = 0; l < network->shape.layers; l++)
		from = read_layer(from, &network->layer[l], network->layer[l].w, network->layer[l].b);
	from = checkpoint->state;
	if (from == NULL || (checkpoint->slots > 0 && network->layer[0].state_w[0] == NULL))
		return;
	for (uint32_t s = 0; s < checkpoint->slots; s++)
		for (uint32_t l = 0; l < network->shape.layers; l++)
		{
			HbLayer *layer = &network->layer[l];

			from = read_layer(from, layer, layer->state_w[s], layer->state_b[s]);
		}
}

static unsigned char *
write_layer(unsigned char *to, const HbLayer *layer, const hb_real *w, const hb_real *b)
{
	for (size_t i = 0; i < layer->units; i++)
		for (size_t j = 0; j < layer->inputs; j++, to += sizeof(float))
		{
			float value = (float) w[i * layer->stride + j];

			memcpy(to, &value, sizeof value);
		}
	for (size_t i = 0; i < layer->units; i++, to += sizeof(float))
	{
		float value = (float) b[i];

		memcpy(to, &value, sizeof value);
	}
	return to;
}

static unsigned char *
begin_section(unsigned char *to, SectionTag tag, uint64_t length)
{
	Section section = {.tag = tag, .version = SECTION_VERSION, .length = length};

	memcpy(to, &section, sizeof section);
	return to + sizeof section;
}

static size_t
section_size(size_t length)
{
	return sizeof(Section) + (length + 7) / 8 * 8;
}

static void
seal(unsigned char *bytes, size_t length)
{
	Header header = {.magic = CHECKPOINT_MAGIC, .version = CHECKPOINT_VERSION, .total = length};

	header.checksum = hb_hash64(bytes + sizeof header, length - sizeof header, header.total);
	memcpy(bytes, &header, sizeof header);
}

static unsigned char *
write_shape(unsigned char *to, const HbShape *shape)
{
	ShapeSection s = {.task = shape->task,
					  .loss = shape->loss,
					  .activation = shape->activation,
					  .inputs = shape->inputs,
					  .outputs = shape->outputs,
					  .layers = shape->layers};

	memcpy(s.units, shape->units, sizeof s.units);
	memcpy(begin_section(to, SECTION_SHAPE, sizeof s), &s, sizeof s);
	return to + section_size(sizeof s);
}

static unsigned char *
write_optimizer(unsigned char *to, const HbNetwork *network, const HbOptimizer *optimizer)
{
	OptimizerSection s = {.rule = (uint32_t) (optimizer - hb_optimizers),
						  .slots = (uint32_t) optimizer->slots};
	size_t length = sizeof s + s.slots * hb_shape_weights(&network->shape) * sizeof(float);
	unsigned char *at = begin_section(to, SECTION_OPTIMIZER, length);

	memcpy(at, &s, sizeof s);
	at += sizeof s;
	for (uint32_t slot = 0; slot < s.slots; slot++)
		for (uint32_t l = 0; l < network->shape.layers; l++)
		{
			const HbLayer *layer = &network->layer[l];

			at = write_layer(at, layer, layer->state_w[slot], layer->state_b[slot]);
		}
	return to + section_size(length);
}

bool
hb_checkpoint_write(const HbHost *host, const HbNetwork *network, const HbOptimizer *optimizer,
					uint64_t step, double best_loss, void **bytes, size_t *length, HbStatus *status)
{
	size_t weights = hb_shape_weights(&network->shape) * sizeof(float);
	ProgressSection progress = {.step = step, .best_loss = best_loss};
	unsigned char *to, *at;

	*length = sizeof(Header) + section_size(sizeof(ShapeSection)) + section_size(weights) +
			  section_size(sizeof(OptimizerSection) + (size_t) optimizer->slots * weights) +
			  section_size(sizeof progress);
	to = hb_alloc(host, *length);
	if (to == NULL)
		return hb_fail_memory(status, *length);
	*bytes = to;
	at = write_shape(to + sizeof(Header), &network->shape);
	to = begin_section(at, SECTION_WEIGHTS, weights);
	for (uint32_t l = 0; l < network->shape.layers; l++)
		to = write_layer(to, &network->layer[l], network->layer[l].w, network->layer[l].b);
	at += section_size(weights);
	at = write_optimizer(at, network, optimizer);
	memcpy(begin_section(at, SECTION_PROGRESS, sizeof progress), &progress, sizeof progress);
	seal(*bytes, *length);
	return true;
}

bool
hb_checkpoint_to_model(const HbHost *host, const void *bytes, size_t length, void **out,
					   size_t *out_length, HbStatus *status)
{
	HbCheckpoint checkpoint;
	size_t weights;
	unsigned char *at;

	if (!hb_checkpoint_open(bytes, length, &checkpoint, status))
		return false;
	weights = hb_shape_weights(&checkpoint.shape) * sizeof(float);
	*out_length = sizeof(Header) + section_size(sizeof(ShapeSection)) + section_size(weights);
	*out = hb_alloc(host, *out_length);
	if (*out == NULL)
		return hb_fail_memory(status, *out_length);
	at = write_shape((unsigned char *) *out + sizeof(Header), &checkpoint.shape);
	memcpy(begin_section(at, SECTION_WEIGHTS, weights), checkpoint.weights, weights);
	seal(*out, *out_length);
	return true;
}
