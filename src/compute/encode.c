/*
 * encode.c - records of a data set as the inputs of a model: numbers standardised, categories expanded or, in sparse
 * rows, as the one input that is not 0
 *
 * Numbers are standardised in double (a timestamp's mean does not fit a float) and stored as float.
 *
 * Trainers do so at every pass over the rows: a block of rows column by column, and single-precision columns
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

#ifdef HB_HAVE_X86_KERNELS
extern const HbByteLookup hb_byte_lookup_vbmi;
#endif

const HbByteLookup *const hb_byte_lookup_list[] = {
#ifdef HB_HAVE_X86_KERNELS
	&hb_byte_lookup_vbmi,
#endif
	NULL};

/* NULL: there is none that is faster than the kernels. */
static const HbByteLookup *
byte_lookup(void)
{
	static const HbByteLookup *chosen;
	static bool known;

	for (int i = 0; !known && chosen == NULL && hb_byte_lookup_list[i] != NULL; i++)
		if (hb_byte_lookup_list[i]->available())
			chosen = hb_byte_lookup_list[i];
	known = true;
	return chosen;
}

void
hb_byte_values(double mean, double scale, float limit, HbByteValues *values)
{
	unsigned char all[256], bytes[sizeof(float)];
	float value[256];

	for (int i = 0; i < 256; i++)
		all[i] = (unsigned char) i;
	array_of_bytes(all, 256, mean, scale, limit, value);
	for (int i = 0; i < 256; i++)
	{
		memcpy(bytes, &value[i], sizeof(bytes));
		for (size_t p = 0; p < sizeof(bytes); p++)
			values->plane[p][i] = bytes[p];
	}
}

/* Rows expanded together: few enough that their records and inputs stay in the first-level cache. */
#define BLOCK_ROWS 16
#define AHEAD_ROWS 32
#define SEGMENT_COLUMNS 256
/* What is asked for of a record ahead of time; of longer ones the processor fetches the rest by itself. */
#define AHEAD_BYTES 512

/* Rows of one block: where their records are, where their inputs go, and which are next. */
typedef struct Block
{
	const unsigned char *record[BLOCK_ROWS];
	uint32_t n;
	const unsigned char *next[BLOCK_ROWS];
	uint32_t nnext;
	float *out;
	/* of sparse rows: which input each value is of, laid out as out; NULL: rows are dense */
	uint32_t *input;
	uint32_t stride;
} Block;

/* Columns whose figures stand side by side, for all blocks of a batch. */
typedef struct Segment
{
	uint32_t first;
	uint32_t n;
	uint32_t to[SEGMENT_COLUMNS]; /* place of a column's first value in a row */
	uint32_t begin, bytes;
	uint32_t run[SEGMENT_COLUMNS]; /* columns from here on that are one loop */
	double mean[SEGMENT_COLUMNS];
	double scale[SEGMENT_COLUMNS];
	float limit[SEGMENT_COLUMNS];
	uint32_t looked_up; /* column whose bytes' values these are, plus 1 */
	HbByteValues values;
} Segment;

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
encode_floats(const HbColumn *column, const Block *block, float *out)
{
	float value, limit = clip_of(column);

	for (uint32_t i = 0; i < block->n; i++)
	{
		memcpy(&value, block->record[i] + column->record_offset, sizeof(value));
		encode_number(column, (double) value, limit, out + (size_t) i * block->stride);
	}
}

static void
encode_doubles(const HbColumn *column, const Block *block, float *out)
{
	float limit = clip_of(column);
	double value;

	for (uint32_t i = 0; i < block->n; i++)
	{
		memcpy(&value, block->record[i] + column->record_offset, sizeof(value));
		encode_number(column, value, limit, out + (size_t) i * block->stride);
	}
}

#define NO_INPUT UINT32_MAX

/* Which of a category column's inputs is 1, by code. */
typedef struct Category
{
	uint32_t levels;
	uint32_t null_input, other_input; /* or NO_INPUT */
	const uint16_t *remap;            /* NULL: codes are levels */
} Category;

static inline Category
category_of(const HbColumn *column, const uint16_t *remap)
{
	uint32_t levels = (uint32_t) column->levels;

	return (Category){.levels = levels,
					  .null_input = column->null_input ? levels : NO_INPUT,
					  .other_input = column->other_input ? levels + column->null_input : NO_INPUT,
					  .remap = remap};
}

static inline uint32_t
category_input(Category category, uint32_t code)
{
	if (category.remap && code != HB_CODE_NULL)
		code = code < HB_MAX_LEVELS ? category.remap[code] : HB_CODE_OTHER;
	return code < category.levels ? code
		   : code == HB_CODE_NULL ? category.null_input
								  : category.other_input;
}

static inline uint32_t
code_of(const HbColumn *column, const unsigned char *record)
{
	uint16_t code;

	memcpy(&code, record + column->record_offset, sizeof(code));
	return code;
}

/* Among inputs that are all 0 before. */
static inline void
encode_category(Category category, uint32_t code, float *out)
{
	uint32_t input = category_input(category, code);

	if (input != NO_INPUT)
		out[input] = 1.0f;
}

static void
encode_categories(const HbColumn *column, const uint16_t *remap, const Block *block, float *out)
{
	Category category = category_of(column, remap);

	for (uint32_t i = 0; i < block->n; i++)
		encode_category(category, code_of(column, block->record[i]),
						out + (size_t) i * block->stride);
}

/* A value for each row: 1 of the input that is not 0, or where all are 0, that of the column's first. */
static void
encode_sparse_categories(const HbColumn *column, const uint16_t *remap, const Block *block,
						 float *out, uint32_t *inputs)
{
	Category category = category_of(column, remap);
	uint32_t n = block->n, stride = block->stride, first = column->input_offset;

	for (uint32_t i = 0; i < n; i++, out += stride, inputs += stride)
	{
		uint32_t input = category_input(category, code_of(column, block->record[i]));

		*out = input == NO_INPUT ? 0.0f : 1.0f;
		*inputs = first + (input == NO_INPUT ? 0 : input);
	}
}

/* values: of its bytes; NULL: they are standardised one by one. */
static void
encode_array(const HbEncodeKernels *kernels, const HbByteValues *values, const HbColumn *column,
			 const unsigned char *in, float *out)
{
	float limit = clip_of(column);
	size_t element = column->kind == HB_COLUMN_BYTES ? 1 : sizeof(float);
	bool missing = in[(size_t) column->length * element] != 0;

	if (missing)
		memset(out, 0, (size_t) column->length * sizeof(float));
	else if (values != NULL)
		byte_lookup()->look_up(in, column->length, values, out);
	else if (column->kind == HB_COLUMN_BYTES)
		kernels->bytes(in, column->length, column->mean, column->scale, limit, out);
	else
		kernels->floats(in, column->length, column->mean, column->scale, limit, out);
	if (column->indicator)
		out[column->length] = missing ? 1.0f : 0.0f;
}

/* A loop for each kind: deciding a kind for every row costs a fourth of the time of a table of categories. */
static void
encode_scalars(const HbEncoder *encoder, uint32_t c, uint32_t to, const Block *block)
{
	const HbColumn *column = &encoder->columns[c];
	const uint16_t *remap = encoder->remap ? encoder->remap[c] : NULL;
	float *out = block->out + to;

	switch (column->kind)
	{
		case HB_COLUMN_FLOAT:
			encode_floats(column, block, out);
			break;
		case HB_COLUMN_DOUBLE:
			encode_doubles(column, block, out);
			break;
		case HB_COLUMN_CATEGORY:
			if (block->input != NULL)
				encode_sparse_categories(column, remap, block, out, block->input + to);
			else
				encode_categories(column, remap, block, out);
			break;
		default:
			break;
	}
}

/* How many of n columns are floats side by side, in the record and among the inputs; at least 1. */
static uint32_t
run_of_floats(const HbColumn *first, uint32_t n)
{
	uint32_t run = 0;

	while (run < n && first[run].kind == HB_COLUMN_FLOAT && !first[run].indicator &&
		   first[run].record_offset == first->record_offset + run * sizeof(float) &&
		   first[run].input_offset == first->input_offset + run)
		run++;
	return run > 0 ? run : 1;
}

/* Values of a column in a sparse row. */
static inline uint32_t
sparse_values(const HbColumn *column)
{
	return column->kind == HB_COLUMN_CATEGORY ? 1 : column->input_width;
}

/* to: the place of column first's value in a sparse row; that of the column after the segment is returned. */
static uint32_t
prepare_segment(const HbEncoder *encoder, uint32_t first, bool sparse, uint32_t to,
				Segment *segment)
{
	const HbColumn *columns = encoder->columns + first;
	uint64_t begin = UINT32_MAX, end = 0;

	segment->first = first;
	segment->looked_up = 0;
	segment->n = encoder->ncolumns - first;
	if (segment->n > SEGMENT_COLUMNS)
		segment->n = SEGMENT_COLUMNS;
	for (uint32_t c = 0; c < segment->n; c++)
	{
		uint64_t at = columns[c].record_offset, behind = at + hb_column_bytes(&columns[c]);

		begin = at < begin ? at : begin;
		end = behind > end ? behind : end;
		segment->to[c] = sparse ? to : columns[c].input_offset;
		to += sparse_values(&columns[c]);
		segment->mean[c] = columns[c].mean;
		segment->scale[c] = columns[c].scale;
		segment->limit[c] = clip_of(&columns[c]);
	}
	segment->begin = (uint32_t) begin;
	segment->bytes = (uint32_t) (end - begin);
	for (uint32_t c = 0; c < segment->n; c += segment->run[c])
		segment->run[c] = run_of_floats(columns + c, segment->n - c);
	return to;
}

/* Always inline: gcc takes a function that does nothing but ask for what has no effect, and leaves out its calls. */
static inline __attribute__((always_inline)) void
prefetch_record(const Segment *segment, const unsigned char *record)
{
	uint32_t reach = segment->bytes < AHEAD_BYTES ? segment->bytes : AHEAD_BYTES;
	const unsigned char *from = record + segment->begin;

	for (uint32_t at = 0; at < reach; at += 64)
		__builtin_prefetch(from + at);
	__builtin_prefetch(from + reach - 1);
}

/* For the row AHEAD_ROWS after row i; those of a block all at once would wait for each other. */
static inline __attribute__((always_inline)) void
ask_for_next(const Segment *segment, bool ahead, const Block *block, uint32_t i)
{
	if (ahead && i < block->nnext)
		prefetch_record(segment, block->next[i]);
}

static void
encode_run(const HbEncoder *encoder, const Segment *segment, uint32_t c, bool ahead,
		   const Block *block)
{
	const HbEncodeKernels *kernels = encode_kernels();
	const HbColumn *first = encoder->columns + segment->first + c;

	for (uint32_t i = 0; i < block->n; i++)
	{
		ask_for_next(segment, ahead, block, i);
		kernels->numbers(block->record[i] + first->record_offset, (int32_t) segment->run[c],
						 segment->mean + c, segment->scale + c, segment->limit + c,
						 block->out + (size_t) i * block->stride + segment->to[c]);
	}
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

/* Bytes of a block of rows that are worth 256 values, which last to the end of the batch where no other column has any. */
#define LEAST_LOOKED_UP 4096

static const HbByteValues *
values_of(Segment *segment, uint32_t c, const HbColumn *column, const Block *block)
{
	if (column->kind != HB_COLUMN_BYTES || byte_lookup() == NULL ||
		(int64_t) column->length * block->n < LEAST_LOOKED_UP)
		return NULL;
	if (segment->looked_up != c + 1)
	{
		hb_byte_values(column->mean, column->scale, clip_of(column), &segment->values);
		segment->looked_up = c + 1;
	}
	return &segment->values;
}

static void
encode_arrays(const HbEncoder *encoder, Segment *segment, uint32_t c, bool ahead,
			  const Block *block)
{
	const HbEncodeKernels *kernels = encode_kernels();
	const HbColumn *column = encoder->columns + segment->first + c;
	const HbByteValues *values = values_of(segment, c, column, block);

	for (uint32_t i = 0; i < block->n; i++)
	{
		ask_for_next(segment, ahead, block, i);
		encode_array(kernels, values, column, block->record[i] + column->record_offset,
					 block->out + (size_t) i * block->stride + segment->to[c]);
	}
}

/* The first loop over the rows asks for those of the next block, if it takes long enough. */
static void
encode_block(const HbEncoder *encoder, Segment *segment, const Block *block)
{
	const HbColumn *columns = encoder->columns + segment->first;
	bool ahead = segment->run[0] > 1 || hb_column_is_array(columns);

	for (uint32_t i = 0; !ahead && i < block->n; i++)
		ask_for_next(segment, true, block, i);
	for (uint32_t c = 0; c < segment->n; ahead = false, c += segment->run[c])
		if (segment->run[c] > 1)
			encode_run(encoder, segment, c, ahead, block);
		else if (hb_column_is_array(&columns[c]))
			encode_arrays(encoder, segment, c, ahead, block);
		else
			encode_scalars(encoder, segment->first + c, segment->to[c], block);
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
				encode_category(category_of(column, encoder->remap ? encoder->remap[c] : NULL),
								code_of(column, record), to);
				break;
			default:
				encode_array(encode_kernels(), NULL, column, in, to);
				break;
		}
	}
}

static void
find_records(const HbDataset *dataset, const uint32_t *rows, uint32_t n,
			 const unsigned char **records)
{
	for (uint32_t i = 0; i < n; i++)
		records[i] = dataset->records + (size_t) rows[i] * dataset->header->record_bytes;
}

static inline uint32_t
block_rows(uint32_t at, uint32_t n)
{
	return at >= n ? 0 : n - at < BLOCK_ROWS ? n - at : BLOCK_ROWS;
}

/* Where the rows of a batch go. */
typedef struct Target
{
	float *out;
	uint32_t *input; /* as Block's */
	uint32_t stride;
} Target;

/* Rows are visited in random order: those AHEAD_ROWS later are asked for while these are expanded. */
static void
encode_batch(const HbEncoder *encoder, const HbDataset *dataset, const uint32_t *rows, uint32_t n,
			 uint32_t following, const Target *target)
{
	bool categories = has_categories(encoder), sparse = target->input != NULL;
	uint32_t to = 0;
	Segment segment;

	for (uint32_t c = 0; c < encoder->ncolumns; c += segment.n)
	{
		to = prepare_segment(encoder, c, sparse, to, &segment);
		for (uint32_t at = 0; at < n; at += BLOCK_ROWS)
		{
			uint32_t next = at + AHEAD_ROWS;
			size_t begin = (size_t) at * target->stride;
			Block block = {.n = block_rows(at, n),
						   .nnext = block_rows(next, n + following),
						   .out = target->out + begin,
						   .input = sparse ? target->input + begin : NULL,
						   .stride = target->stride};

			for (uint32_t i = 0; !sparse && c == 0 && i < block.n; i++)
				clear_row(encoder, categories, block.out + (size_t) i * block.stride, block.stride);
			find_records(dataset, rows + at, block.n, block.record);
			find_records(dataset, rows + next, block.nnext, block.next);
			encode_block(encoder, &segment, &block);
		}
	}
}

void
hb_encode_rows(const HbEncoder *encoder, const HbDataset *dataset, const uint32_t *rows, uint32_t n,
			   uint32_t following, float *out, uint32_t padded)
{
	encode_batch(encoder, dataset, rows, n, following, &(Target){.out = out, .stride = padded});
}

uint32_t
hb_sparse_row_values(const HbEncoder *encoder)
{
	uint32_t values = 0;

	for (uint32_t c = 0; c < encoder->ncolumns; c++)
		values += sparse_values(&encoder->columns[c]);
	return values;
}

/* What is the same in all batches: where rows begin, and the inputs of all but categories. */
void
hb_sparse_rows_lay_out(const HbEncoder *encoder, size_t rows, HbSparse *x)
{
	uint32_t at = 0;

	for (size_t i = 0; i < rows; i++)
	{
		x->begin[i] = at;
		for (uint32_t c = 0; c < encoder->ncolumns; c++)
		{
			const HbColumn *column = &encoder->columns[c];

			for (uint32_t k = 0; k < sparse_values(column); k++)
				x->column[at++] = column->input_offset + k;
		}
	}
	x->begin[rows] = at;
}

void
hb_encode_sparse_rows(const HbEncoder *encoder, const HbDataset *dataset, const uint32_t *rows,
					  uint32_t n, uint32_t following, HbSparse *x)
{
	encode_batch(encoder, dataset, rows, n, following,
				 &(Target){.out = x->value, .input = x->column, .stride = x->begin[1]});
}
