/*
 * dataset.c - checks a mapped data set and expands its records to model inputs
 *
 * Expansion runs for every row of every mini-batch, so the loops over array elements are kept free of
 * branches and calls.  Numbers are standardised in double (a timestamp's mean does not fit a float) and stored
 * as float.
 */
#include "core/dataset.h"

#include <math.h>
#include <string.h>

static bool
malformed(HbStatus *status, const char *what)
{
	hb_fail(status, HB_ERR_PROTOCOL, "malformed training data");
	return hb_fail_detail(status, "The %s is out of range.", what);
}

/* Whether an array's record ends with a flag byte. */
static inline bool
has_flag(const HbColumn *column)
{
	return column->flag == HB_FLAG_AS_INDICATOR ? column->indicator
												: column->flag == HB_FLAG_PRESENT;
}

/* Bytes that a column takes in a record, its flag of missing arrays included; 0 for an unknown kind. */
static uint64_t
record_size(const HbColumn *column)
{
	uint64_t length = (uint64_t) column->length;

	switch (column->kind)
	{
		case HB_COLUMN_FLOAT:
			return sizeof(float);
		case HB_COLUMN_DOUBLE:
			return sizeof(double);
		case HB_COLUMN_CATEGORY:
			return sizeof(uint16_t);
		case HB_COLUMN_BYTES:
			return length + has_flag(column);
		case HB_COLUMN_FLOATS:
			return length * sizeof(float) + has_flag(column);
	}
	return 0;
}

/* Inputs that a column expands to. */
static uint64_t
input_width(const HbColumn *column)
{
	if (column->kind == HB_COLUMN_CATEGORY)
		return (uint64_t) column->levels + column->null_input + column->other_input;
	return (uint64_t) column->length + column->indicator;
}

bool
hb_columns_check(const HbColumn *columns, uint32_t ncolumns, uint32_t inputs, uint64_t record_bytes,
				 HbStatus *status)
{
	uint64_t offset = 0;

	for (uint32_t i = 0; i < ncolumns; i++)
	{
		const HbColumn *column = &columns[i];
		bool array = column->kind == HB_COLUMN_BYTES || column->kind == HB_COLUMN_FLOATS;
		bool flags = column->indicator <= 1 && column->null_input <= 1 && column->other_input <= 1;
		uint64_t size;

		if (column->length < 1 || (!array && column->length != 1))
			return malformed(status, "length of a column");
		if (!flags || column->flag > HB_FLAG_PRESENT || column->levels < 0 ||
			column->levels > HB_MAX_LEVELS)
			return malformed(status, "number of a column's levels");
		size = record_size(column);
		if (size == 0 || column->record_offset + size > record_bytes)
			return malformed(status, "place of a column in the record");
		if (column->input_offset != offset || column->input_width != input_width(column))
			return malformed(status, "place of a column among the inputs");
		if (isnan(column->clip) || !isfinite(column->mean) || !isfinite(column->scale))
			return malformed(status, "scale of a column");
		offset += column->input_width;
	}
	if (offset != inputs)
		return malformed(status, "number of inputs");
	return true;
}

/* Whether count elements of size bytes lie within total at an aligned offset behind the header. */
static bool
section_fits(uint64_t offset, uint64_t count, uint64_t size, uint64_t total)
{
	uint64_t bytes;

	if (offset % 64 != 0 || offset < sizeof(HbDatasetHeader) || offset > total)
		return false;
	return !__builtin_mul_overflow(count, size, &bytes) && bytes <= total - offset;
}

static bool
check_header(const HbDatasetHeader *header, size_t length, HbStatus *status)
{
	uint64_t total = header->total_bytes;
	uint64_t ordered;

	if (header->magic != HB_DATASET_MAGIC || header->version != HB_DATASET_VERSION)
		return malformed(status, "version of the header");
	if (total > length)
		return malformed(status, "total size");
	if (header->task > HB_TASK_CLASSIFICATION || header->outputs < 1)
		return malformed(status, "task");
	if (header->rows > UINT32_MAX || header->rows_train > header->rows ||
		header->rows_validation > header->rows || header->rows_test > header->rows)
		return malformed(status, "number of rows");
	ordered = header->rows_train + header->rows_validation + header->rows_test;
	if (!section_fits(header->columns_offset, header->columns, sizeof(HbColumn), total))
		return malformed(status, "section of columns");
	if (!section_fits(header->records_offset, header->rows, header->record_bytes, total))
		return malformed(status, "section of records");
	if (!section_fits(header->targets_offset, header->rows, sizeof(uint32_t), total))
		return malformed(status, "section of targets");
	if (!section_fits(header->order_offset, ordered, sizeof(uint32_t), total))
		return malformed(status, "section of the row order");
	if (header->task == HB_TASK_REGRESSION &&
		(!isfinite(header->target_mean) || !isfinite(header->target_scale)))
		return malformed(status, "scale of the target");
	return true;
}

/* The largest of n numbers, 0 of none. */
static uint32_t
largest(const uint32_t *values, uint64_t n)
{
	uint32_t max = 0;

	for (uint64_t i = 0; i < n; i++)
		max = values[i] > max ? values[i] : max;
	return max;
}

bool
hb_dataset_open(const void *base, size_t length, HbDataset *dataset, HbStatus *status)
{
	const unsigned char *bytes = base;
	const HbDatasetHeader *header = base;
	const uint32_t *order;
	uint64_t ordered;

	if (length < sizeof(HbDatasetHeader) || (uintptr_t) base % 64 != 0)
		return malformed(status, "size of the header");
	if (!check_header(header, length, status))
		return false;
	dataset->header = header;
	dataset->columns = (const HbColumn *) (bytes + header->columns_offset);
	dataset->records = bytes + header->records_offset;
	dataset->targets = bytes + header->targets_offset;
	if (!hb_columns_check(dataset->columns, header->columns, header->inputs, header->record_bytes,
						  status))
		return false;
	order = (const uint32_t *) (bytes + header->order_offset);
	ordered = header->rows_train + header->rows_validation + header->rows_test;
	if (ordered > 0 && largest(order, ordered) >= header->rows)
		return malformed(status, "row order");
	if (header->task == HB_TASK_CLASSIFICATION && header->rows > 0 &&
		largest(dataset->targets, header->rows) >= header->outputs)
		return malformed(status, "class of a row");
	dataset->train = order;
	dataset->validation = order + header->rows_train;
	dataset->test = order + header->rows_train + header->rows_validation;
	return true;
}

const uint32_t *
hb_dataset_part(const HbDataset *dataset, HbPart part, uint64_t *count)
{
	switch (part)
	{
		case HB_PART_TRAIN:
			*count = dataset->header->rows_train;
			return dataset->train;
		case HB_PART_VALIDATION:
			*count = dataset->header->rows_validation;
			return dataset->validation;
		case HB_PART_TEST:
			*count = dataset->header->rows_test;
			return dataset->test;
	}
	*count = 0;
	return NULL;
}

/* Cut to ±limit; NaN becomes 0, the mean. */
static inline float
standardise(double value, double mean, double scale, float limit)
{
	float z = (float) ((value - mean) * scale);

	z = z > limit ? limit : z;
	z = z < -limit ? -limit : z;
	return z == z ? z : 0.0f;
}

static void
encode_number(const HbColumn *column, double value, float limit, float *out)
{
	out[0] = standardise(value, column->mean, column->scale, limit);
	if (column->indicator)
		out[1] = isnan(value) ? 1.0f : 0.0f;
}

static void
encode_category(const HbColumn *column, uint32_t code, const uint16_t *remap, float *out)
{
	uint32_t levels = (uint32_t) column->levels;

	for (uint32_t i = 0; i < column->input_width; i++)
		out[i] = 0.0f;
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
encode_bytes(const unsigned char *restrict in, int32_t length, double mean, double scale,
			 float limit, float *restrict out)
{
	for (int32_t i = 0; i < length; i++)
	{
		float z = (float) (((double) in[i] - mean) * scale);

		z = z > limit ? limit : z;
		out[i] = z < -limit ? -limit : z;
	}
}

/* Floats need not be aligned in a record; memcpy compiles to plain (vector) loads. */
static void
encode_floats(const unsigned char *restrict in, int32_t length, double mean, double scale,
			  float limit, float *restrict out)
{
	for (int32_t i = 0; i < length; i++)
	{
		float value;

		memcpy(&value, in + (size_t) i * sizeof(float), sizeof(float));
		out[i] = standardise((double) value, mean, scale, limit);
	}
}

static void
encode_array(const HbColumn *column, const unsigned char *in, float limit, float *out)
{
	size_t element = column->kind == HB_COLUMN_BYTES ? 1 : sizeof(float);
	bool missing = has_flag(column) && in[(size_t) column->length * element] != 0;

	if (missing)
		memset(out, 0, (size_t) column->length * sizeof(float));
	else if (column->kind == HB_COLUMN_BYTES)
		encode_bytes(in, column->length, column->mean, column->scale, limit, out);
	else
		encode_floats(in, column->length, column->mean, column->scale, limit, out);
	if (column->indicator)
		out[column->length] = missing ? 1.0f : 0.0f;
}

void
hb_encode_row(const HbEncoder *encoder, const void *record, float *out, uint32_t padded)
{
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
				encode_array(column, in, limit, to);
				break;
		}
	}
	for (uint32_t i = encoder->inputs; i < padded; i++)
		out[i] = 0.0f;
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

	for (uint32_t i = 0; i < n; i++)
	{
		if (i + PREFETCH_ROWS < n)
			prefetch_record(dataset->records + (size_t) rows[i + PREFETCH_ROWS] * record_bytes,
							record_bytes);
		hb_encode_row(encoder, dataset->records + (size_t) rows[i] * record_bytes,
					  out + (size_t) i * padded, padded);
	}
}
