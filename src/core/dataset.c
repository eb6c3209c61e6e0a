/*
 * dataset.c - checks a mapped data set and finds its parts
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

uint64_t
hb_column_bytes(const HbColumn *column)
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
			return length + 1;
		case HB_COLUMN_FLOATS:
			return length * sizeof(float) + 1;
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
		bool array = hb_column_is_array(column);
		bool flags = column->indicator <= 1 && column->null_input <= 1 && column->other_input <= 1;
		uint64_t size;

		if (column->length < 1 || (!array && column->length != 1))
			return malformed(status, "length of a column");
		if (!flags || column->levels < 0 || column->levels > HB_MAX_LEVELS)
			return malformed(status, "number of a column's levels");
		size = hb_column_bytes(column);
		if (size == 0 || column->record_offset + size > record_bytes)
			return malformed(status, "place of a column in the record");
		if (column->input_offset != offset || column->input_width != input_width(column) ||
			column->input_width < 1)
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
