/*
 * encode.c - records of a data set as the inputs of a model: numbers standardised, categories expanded
 *
 * Numbers are standardised in double (a timestamp's mean does not fit a float) and stored as float.
 *
 * Trainers expand the rows at every pass over them: a block of rows column by column, and single-precision columns
 * side by side in one loop.  That loop, and those of arrays (images), are compiled for each instruction set; which one
 * runs is decided at run time.
 */
#include "compute/encode.h"

#include <math.h>
#include <string.h>

#include "compute/kernels.h"

#include "compute/encode.inc.h"

static bool
always(void)
{
	return true;
}

static const HbEncodeKernels encode_kernels_reference = {
	.name = "reference",
	.available = always,
	.bytes = array_of_bytes,
	.floats = array_of_floats,
	.numbers = numbers,
};

#ifdef HB_HAVE_X86_KERNELS
extern const HbEncodeKernels hb_encode_kernels_avx2;
extern const HbEncodeKernels hb_encode_kernels_avx512;
#endif

const HbEncodeKernels *const hb_encode_kernel_list[] = {
#ifdef HB_HAVE_X86_KERNELS
	&hb_encode_kernels_avx512, &hb_encode_kernels_avx2,
#endif
	&encode_kernels_reference, NULL};

static const HbEncodeKernels *
encode_kernels(void)
{
	static const HbEncodeKernels *chosen;

	for (int i = 0; chosen == NULL; i++)
		if (hb_encode_kernel_list[i]->available())
			chosen = hb_encode_kernel_list[i];
	return chosen;
}

/* Rows expanded together: few enough that their records and inputs stay in the first-level cache. */
#define BLOCK_ROWS 16
#define RUN_COLUMNS 64

/* Rows of one block: where their records are, and where their inputs go. */
typedef struct Block
{
	const unsigned char *record[BLOCK_ROWS];
	uint32_t n;
	float *out;
	uint32_t stride;
} Block;

static inline float
clip_of(const HbColumn *column)
{
	return column->clip > 0 ? column->clip : INFINITY;
}

static inline void
encode_number(const HbColumn *column, double value, float limit, float *out)
{
	out[0] = standardise(value, column->mean, column->scale, limit);
	if (column->indicator)
		out[1] = isnan(value) ? 1.0f : 0.0f;
}

static void
encode_floats(const HbColumn *column, const Block *block)
{
	float value, limit = clip_of(column);

	for (uint32_t i = 0; i < block->n; i++)
	{
		memcpy(&value, block->record[i] + column->record_offset, sizeof(value));
		encode_number(column, (double) value, limit,
					  block->out + (size_t) i * block->stride + column->input_offset);
	}
}

static void
encode_doubles(const HbColumn *column, const Block *block)
{
	float limit = clip_of(column);
	double value;

	for (uint32_t i = 0; i < block->n; i++)
	{
		memcpy(&value, block->record[i] + column->record_offset, sizeof(value));
		encode_number(column, value, limit,
					  block->out + (size_t) i * block->stride + column->input_offset);
	}
}

/* The one input that is not 0, as all are before. */
static inline void
encode_category(const HbColumn *column, uint32_t code, const uint16_t *remap, float *out)
{
	uint32_t levels = (uint32_t) column->levels;

	if (remap && code != HB_CODE_NULL)
		code = code < HB_MAX_LEVELS ? remap[code] : HB_CODE_OTHER;
	if (code < levels)
		out[code] = 1.0f;
	else if (code == HB_CODE_NULL)
	{
		if (column->null_input)
			out[levels] = 1.0f;
	}
	else if (column->other_input)
		out[levels + column->null_input] = 1.0f;
}

static void
encode_categories(const HbColumn *column, const uint16_t *remap, const Block *block)
{
	uint16_t code;

	for (uint32_t i = 0; i < block->n; i++)
	{
		memcpy(&code, block->record[i] + column->record_offset, sizeof(code));
		encode_category(column, code, remap,
						block->out + (size_t) i * block->stride + column->input_offset);
	}
}

static void
encode_array(const HbEncodeKernels *kernels, const HbColumn *column, const unsigned char *in,
			 float *out)
{
	float limit = clip_of(column);
	size_t element = column->kind == HB_COLUMN_BYTES ? 1 : sizeof(float);
	bool missing = hb_column_has_flag(column) && in[(size_t) column->length * element] != 0;

	if (missing)
		memset(out, 0, (size_t) column->length * sizeof(float));
	else if (column->kind == HB_COLUMN_BYTES)
		kernels->bytes(in, column->length, column->mean, column->scale, limit, out);
	else
		kernels->floats(in, column->length, column->mean, column->scale, limit, out);
	if (column->indicator)
		out[column->length] = missing ? 1.0f : 0.0f;
}

/* A loop for each kind: deciding a kind for every row costs a fourth of the time of a table of categories. */
static void
encode_column(const HbEncoder *encoder, uint32_t c, const Block *block)
{
	const HbColumn *column = &encoder->columns[c];

	switch (column->kind)
	{
		case HB_COLUMN_FLOAT:
			encode_floats(column, block);
			break;
		case HB_COLUMN_DOUBLE:
			encode_doubles(column, block);
			break;
		case HB_COLUMN_CATEGORY:
			encode_categories(column, encoder->remap ? encoder->remap[c] : NULL, block);
			break;
		default:
			for (uint32_t i = 0; i < block->n; i++)
				encode_array(encode_kernels(), column, block->record[i] + column->record_offset,
							 block->out + (size_t) i * block->stride + column->input_offset);
	}
}

/* How many columns from c on are floats side by side, in the record and among the inputs. */
static uint32_t
run_of_floats(const HbEncoder *encoder, uint32_t c)
{
	const HbColumn *first = &encoder->columns[c];
	uint32_t n = 0;

	while (n < RUN_COLUMNS && c + n < encoder->ncolumns && first[n].kind == HB_COLUMN_FLOAT &&
		   !first[n].indicator &&
		   first[n].record_offset == first->record_offset + n * sizeof(float) &&
		   first[n].input_offset == first->input_offset + n)
		n++;
	return n;
}

static void
encode_run(const HbColumn *first, uint32_t n, const Block *block)
{
	const HbEncodeKernels *kernels = encode_kernels();
	double mean[RUN_COLUMNS], scale[RUN_COLUMNS];
	float limit[RUN_COLUMNS];

	for (uint32_t c = 0; c < n; c++)
	{
		mean[c] = first[c].mean;
		scale[c] = first[c].scale;
		limit[c] = clip_of(&first[c]);
	}
	for (uint32_t i = 0; i < block->n; i++)
		kernels->numbers(block->record[i] + first->record_offset, (int32_t) n, mean, scale, limit,
						 block->out + (size_t) i * block->stride + first->input_offset);
}

static bool
has_categories(const HbEncoder *encoder)
{
	for (uint32_t c = 0; c < encoder->ncolumns; c++)
		if (encoder->columns[c].kind == HB_COLUMN_CATEGORY)
			return true;
	return false;
}

/* With categories all is zeroed at once: they are many narrow columns. */
static inline void
clear_row(const HbEncoder *encoder, bool categories, float *out, uint32_t padded)
{
	if (categories)
		memset(out, 0, encoder->inputs * sizeof(float));
	for (uint32_t i = encoder->inputs; i < padded; i++)
		out[i] = 0.0f;
}

static void
encode_block(const HbEncoder *encoder, const Block *block)
{
	for (uint32_t c = 0; c < encoder->ncolumns;)
	{
		uint32_t run = run_of_floats(encoder, c);

		if (run > 1)
			encode_run(&encoder->columns[c], run, block);
		else
			encode_column(encoder, c, block);
		c += run > 1 ? run : 1;
	}
}

/* A single row is done sooner than what its columns have in common is found. */
void
hb_encode_row(const HbEncoder *encoder, const void *record, float *out, uint32_t padded)
{
	clear_row(encoder, has_categories(encoder), out, padded);
	for (uint32_t c = 0; c < encoder->ncolumns; c++)
	{
		const HbColumn *column = &encoder->columns[c];
		const unsigned char *in = (const unsigned char *) record + column->record_offset;
		float *to = out + column->input_offset;
		float single;
		double number;
		uint16_t code;

		switch (column->kind)
		{
			case HB_COLUMN_FLOAT:
				memcpy(&single, in, sizeof(single));
				encode_number(column, (double) single, clip_of(column), to);
				break;
			case HB_COLUMN_DOUBLE:
				memcpy(&number, in, sizeof(number));
				encode_number(column, number, clip_of(column), to);
				break;
			case HB_COLUMN_CATEGORY:
				memcpy(&code, in, sizeof(code));
				encode_category(column, code, encoder->remap ? encoder->remap[c] : NULL, to);
				break;
			default:
				encode_array(encode_kernels(), column, in, to);
				break;
		}
	}
}

static inline void
prefetch_record(const unsigned char *record, uint32_t bytes)
{
	uint32_t reach = bytes < 512 ? bytes : 512;

	for (uint32_t at = 0; at < reach; at += 64)
		__builtin_prefetch(record + at);
	__builtin_prefetch(record + reach - 1);
}

/* Rows are visited in random order; the next block's first lines are asked for while this one is expanded. */
void
hb_encode_rows(const HbEncoder *encoder, const HbDataset *dataset, const uint32_t *rows, uint32_t n,
			   float *out, uint32_t padded)
{
	uint32_t bytes = dataset->header->record_bytes;
	bool categories = has_categories(encoder);

	for (uint32_t at = 0; at < n; at += BLOCK_ROWS)
	{
		Block block;

		block.n = n - at < BLOCK_ROWS ? n - at : BLOCK_ROWS;
		block.out = out + (size_t) at * padded;
		block.stride = padded;
		for (uint32_t i = 0; i < block.n; i++)
		{
			block.record[i] = dataset->records + (size_t) rows[at + i] * bytes;
			clear_row(encoder, categories, block.out + (size_t) i * padded, padded);
		}
		for (uint32_t i = at + BLOCK_ROWS; i < at + 2 * BLOCK_ROWS && i < n; i++)
			prefetch_record(dataset->records + (size_t) rows[i] * bytes, bytes);
		encode_block(encoder, &block);
	}
}
