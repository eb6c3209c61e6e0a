/*
 * encode.c - records of a data set as the inputs of a model: numbers standardised, categories expanded
 *
 * Numbers are standardised in double (a timestamp's mean does not fit a float) and stored as float.
 *
 * Images are one array a record, which trainers expand at every pass: those loops are compiled for each instruction set,
 * and which one runs is decided at run time.
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

static void
encode_number(const HbColumn *column, double value, float limit, float *out)
{
	out[0] = standardise(value, column->mean, column->scale, limit);
	if (column->indicator)
		out[1] = isnan(value) ? 1.0f : 0.0f;
}

/* The one input that is not 0, as all are before. */
static void
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
encode_array(const HbEncodeKernels *kernels, const HbColumn *column, const unsigned char *in,
			 float limit, float *out)
{
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

static bool
has_categories(const HbEncoder *encoder)
{
	for (uint32_t c = 0; c < encoder->ncolumns; c++)
		if (encoder->columns[c].kind == HB_COLUMN_CATEGORY)
			return true;
	return false;
}

/* With categories the whole row is zeroed at once: they are many narrow columns. */
static inline void
encode_row(const HbEncoder *encoder, bool categories, const void *record, float *out,
		   uint32_t padded)
{
	if (categories)
		memset(out, 0, encoder->inputs * sizeof(float));
	for (uint32_t c = 0; c < encoder->ncolumns; c++)
	{
		const HbColumn *column = &encoder->columns[c];
		const unsigned char *in = (const unsigned char *) record + column->record_offset;
		float *to = out + column->input_offset;
		float limit = column->clip > 0 ? column->clip : INFINITY;
		float single;
		double number;
		uint16_t code;

		switch (column->kind)
		{
			case HB_COLUMN_FLOAT:
				memcpy(&single, in, sizeof(single));
				encode_number(column, (double) single, limit, to);
				break;
			case HB_COLUMN_DOUBLE:
				memcpy(&number, in, sizeof(number));
				encode_number(column, number, limit, to);
				break;
			case HB_COLUMN_CATEGORY:
				memcpy(&code, in, sizeof(code));
				encode_category(column, code, encoder->remap ? encoder->remap[c] : NULL, to);
				break;
			default:
				encode_array(encode_kernels(), column, in, limit, to);
				break;
		}
	}
	for (uint32_t i = encoder->inputs; i < padded; i++)
		out[i] = 0.0f;
}

void
hb_encode_row(const HbEncoder *encoder, const void *record, float *out, uint32_t padded)
{
	encode_row(encoder, has_categories(encoder), record, out, padded);
}

/* Rows are visited in random order; ask for a later one's first lines while this one is expanded. */
#define PREFETCH_ROWS 8

static inline void
prefetch_record(const unsigned char *record, uint32_t bytes)
{
	uint32_t reach = bytes < 512 ? bytes : 512;

	for (uint32_t at = 0; at < reach; at += 64)
		__builtin_prefetch(record + at);
}

void
hb_encode_rows(const HbEncoder *encoder, const HbDataset *dataset, const uint32_t *rows, uint32_t n,
			   float *out, uint32_t padded)
{
	uint32_t record_bytes = dataset->header->record_bytes;
	bool categories = has_categories(encoder);

	for (uint32_t i = 0; i < n; i++)
	{
		if (i + PREFETCH_ROWS < n)
			prefetch_record(dataset->records + (size_t) rows[i + PREFETCH_ROWS] * record_bytes,
							record_bytes);
		encode_row(encoder, categories, dataset->records + (size_t) rows[i] * record_bytes,
				   out + (size_t) i * padded, padded);
	}
}
