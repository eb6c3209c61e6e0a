/*
 * test_dataset.c - opening a mapped data set and expanding its records
 */
#include "tap.h"

#include "compute/encode.h"
#include "core/dataset.h"
#include "core/host.h"
#include "core/rng.h"

enum
{
	ROWS = 20,
	BYTES = 37, /* not a multiple of any vector */
	FLOATS = 5,
	COLUMNS = 5,
	TOTAL = 16384
};

/* A record as the loader would lay it out. */
typedef struct Record
{
	double d;
	float f;
	float array[FLOATS];
	unsigned char array_missing;
	unsigned char pad;
	uint16_t category;
	unsigned char bytes[BYTES];
	unsigned char bytes_missing;
} Record;

static unsigned char *base;
static HbDatasetHeader *header;
static HbColumn *columns;
static Record *records;
static uint32_t *targets;
static uint32_t *order;

static void
set_column(int i, HbColumnKind kind, int length, size_t record_offset, int indicator, int levels)
{
	HbColumn *column = &columns[i];

	column->kind = kind;
	column->length = length;
	column->record_offset = record_offset;
	column->indicator = indicator;
	column->levels = levels;
	column->null_input = column->other_input = levels > 0;
	column->input_width = levels > 0 ? levels + 2 : length + indicator;
	column->input_offset = i > 0 ? columns[i - 1].input_offset + columns[i - 1].input_width : 0;
	column->clip = 5;
	column->mean = i + 0.5;
	column->scale = 0.1 * (i + 1);
}

static void
build(void)
{
	memset(base, 0, TOTAL);
	header = (HbDatasetHeader *) base;
	header->magic = HB_DATASET_MAGIC;
	header->version = HB_DATASET_VERSION;
	header->total_bytes = TOTAL;
	header->task = HB_TASK_CLASSIFICATION;
	header->outputs = 3;
	header->columns = COLUMNS;
	header->record_bytes = sizeof(Record);
	header->rows = ROWS;
	header->rows_train = 14;
	header->rows_validation = 4;
	header->rows_test = 2;
	header->columns_offset = 256;
	header->records_offset = 1024;
	header->targets_offset = 8192;
	header->order_offset = 12288;
	columns = (HbColumn *) (base + 256);
	records = (Record *) (base + 1024);
	targets = (uint32_t *) (base + 8192);
	order = (uint32_t *) (base + 12288);
	set_column(0, HB_COLUMN_DOUBLE, 1, offsetof(Record, d), 1, 0);
	set_column(1, HB_COLUMN_FLOAT, 1, offsetof(Record, f), 0, 0);
	set_column(2, HB_COLUMN_CATEGORY, 1, offsetof(Record, category), 0, 3);
	set_column(3, HB_COLUMN_BYTES, BYTES, offsetof(Record, bytes), 1, 0);
	set_column(4, HB_COLUMN_FLOATS, FLOATS, offsetof(Record, array), 1, 0);
	header->inputs = columns[4].input_offset + columns[4].input_width;
	for (int i = 0; i < ROWS; i++)
	{
		records[i].d = i == 3 ? NAN : i * 10.0;
		records[i].f = i == 4 ? NAN : -i;
		records[i].category = i % 5 == 3 ? HB_CODE_NULL : i % 5 == 4 ? HB_CODE_OTHER : i % 5;
		records[i].bytes_missing = i == 5;
		records[i].array_missing = i == 6;
		for (int k = 0; k < BYTES; k++)
			records[i].bytes[k] = i == 5 ? 0 : (unsigned char) (i * 13 + k);
		for (int k = 0; k < FLOATS; k++)
			records[i].array[k] = i == 6 ? 0 : (float) (i + k);
		targets[i] = i % 3;
		order[i] = (i * 7) % ROWS;
	}
}

static float
z(const HbColumn *column, double value)
{
	double limit = column->clip > 0 ? column->clip : INFINITY;
	float result = (float) ((value - column->mean) * column->scale);

	return isnan(value) ? 0 : (float) fmin(fmax(result, -limit), limit);
}

/* The plainest way to say what a record becomes. */
static void
expected_inputs(const Record *record, float *out)
{
	int at = 0;

	out[at++] = z(&columns[0], record->d);
	out[at++] = isnan(record->d);
	out[at++] = z(&columns[1], record->f);
	for (int level = 0; level < 3; level++)
		out[at++] = record->category == level;
	out[at++] = record->category == HB_CODE_NULL;
	out[at++] = record->category == HB_CODE_OTHER;
	for (int k = 0; k < BYTES; k++)
		out[at++] = record->bytes_missing ? 0 : z(&columns[3], record->bytes[k]);
	out[at++] = record->bytes_missing;
	for (int k = 0; k < FLOATS; k++)
		out[at++] = record->array_missing ? 0 : z(&columns[4], record->array[k]);
	out[at++] = record->array_missing;
}

/* Rows that are kept sparse, written out. */
static void
expand(const HbEncoder *encoder, const HbDataset *dataset, const uint32_t *rows, uint32_t n,
	   uint32_t padded, float *out)
{
	size_t values = n * hb_sparse_row_values(encoder);
	HbSparse x = {.begin = malloc((n + 1) * sizeof(uint32_t)),
				  .column = malloc(values * sizeof(uint32_t)),
				  .value = malloc(values * sizeof(float))};

	memset(x.value, 0xff, values * sizeof(float));
	memset(out, 0, n * padded * sizeof(float));
	hb_sparse_rows_lay_out(encoder, n, &x);
	hb_encode_sparse_rows(encoder, dataset, rows, n, 0, &x);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t l = x.begin[i]; l < x.begin[i + 1]; l++)
			if (x.value[l] != 0)
				out[i * padded + x.column[l]] = x.value[l];
	free(x.begin);
	free(x.column);
	free(x.value);
}

/* As numbers: a sparse row does not say whether a zero has a sign. */
static int
unequal(const float *a, const float *b, size_t n)
{
	int count = 0;

	for (size_t i = 0; i < n; i++)
		count += !(a[i] == b[i]);
	return count;
}

static void
test_encode(void)
{
	HbDataset dataset;
	HbStatus status;
	HbEncoder encoder = {COLUMNS, header->inputs, columns, NULL};
	uint32_t padded = (header->inputs + 15) / 16 * 16;
	float *out = malloc(ROWS * padded * sizeof(float));
	float *expected = malloc(padded * sizeof(float)), *sparse = malloc(ROWS * padded * 4);
	uint64_t count;
	const uint32_t *rows;
	int wrong = 0;
	int tail = 0;

	ok(hb_dataset_open(base, TOTAL, &dataset, &status), "a data set opens");
	rows = hb_dataset_part(&dataset, HB_PART_TRAIN, &count);
	is_int(count, 14, "training rows");
	ok(rows == order, "training rows come first");
	rows = hb_dataset_part(&dataset, HB_PART_VALIDATION, &count);
	ok(count == 4 && rows == order + 14, "then validation rows");
	rows = hb_dataset_part(&dataset, HB_PART_TEST, &count);
	ok(count == 2 && rows == order + 18, "then test rows");
	memset(out, 0xff, ROWS * padded * sizeof(float));
	hb_encode_rows(&encoder, &dataset, order, ROWS, 0, out, padded);
	for (int i = 0; i < ROWS; i++)
	{
		expected_inputs(&records[order[i]], expected);
		wrong += memcmp(out + i * padded, expected, header->inputs * sizeof(float)) != 0;
		for (uint32_t k = header->inputs; k < padded; k++)
			tail += out[i * padded + k] != 0;
	}
	is_int(wrong, 0, "every record expands as the plain formula says, bit for bit");
	is_int(tail, 0, "padding is zero");
	expand(&encoder, &dataset, order, ROWS, padded, sparse);
	is_int(unequal(out, sparse, ROWS * padded), 0, "sparse rows hold the same values");
	columns[0].clip = 0;
	records[0].d = 1e30;
	hb_encode_row(&encoder, &records[0], out, 0);
	ok(out[0] == (float) ((1e30 - columns[0].mean) * columns[0].scale),
	   "without clip a value stays");
	columns[0].clip = 5;
	hb_encode_row(&encoder, &records[0], out, 0);
	ok(out[0] == 5, "with clip it is cut");
	free(out);
	free(expected);
	free(sparse);
	build();
}

/* Inputs of the category column of a record with this code. */
static int
category_input(const HbEncoder *encoder, uint16_t code)
{
	float out[128];
	Record record = records[0];
	int set = -1;

	record.category = code;
	hb_encode_row(encoder, &record, out, 0);
	for (int i = 0; i < (int) columns[2].input_width; i++)
		if (out[columns[2].input_offset + i] != 0)
			set = set >= 0 ? 100 : i;
	return set;
}

/* Values of all records that differ between dense and sparse rows. */
static int
sparse_differences(const HbEncoder *encoder)
{
	static float dense[ROWS][128], sparse[ROWS][128];
	HbDataset dataset = {.header = header, .records = (const unsigned char *) records};

	hb_encode_rows(encoder, &dataset, order, ROWS, 0, dense[0], 128);
	expand(encoder, &dataset, order, ROWS, 128, sparse[0]);
	return unequal(dense[0], sparse[0], ROWS * 128);
}

static void
test_categories(void)
{
	uint16_t table[HB_MAX_LEVELS];
	const uint16_t *remap[COLUMNS] = {NULL, NULL, table};
	HbEncoder encoder = {COLUMNS, header->inputs, columns, NULL};
	HbEncoder mapped = {COLUMNS, header->inputs, columns, remap};

	for (int i = 0; i < HB_MAX_LEVELS; i++)
		table[i] = HB_CODE_OTHER;
	table[0] = 2;
	table[7] = 0;
	is_int(category_input(&encoder, 1), 1, "a level has its input");
	is_int(category_input(&encoder, 77), 4, "a code beyond the levels is other");
	is_int(category_input(&mapped, 0), 2, "a mapped level");
	is_int(category_input(&mapped, 7), 0, "a level the model numbers otherwise");
	is_int(category_input(&mapped, 1), 4, "a level the model does not know is other");
	is_int(category_input(&mapped, HB_CODE_NULL), 3, "NULL stays NULL");
	is_int(category_input(&mapped, HB_CODE_OTHER), 4, "other stays other");
	is_int(sparse_differences(&mapped), 0, "mapped levels of sparse rows are those of dense ones");
	columns[2].null_input = 0;
	is_int(category_input(&encoder, HB_CODE_NULL), -1, "NULL without an input is all zeros");
	is_int(category_input(&encoder, HB_CODE_OTHER), 3, "other follows the levels then");
	columns[2].other_input = 0;
	is_int(category_input(&encoder, HB_CODE_OTHER), -1, "other without an input is all zeros");
	is_int(sparse_differences(&encoder), 0, "and so it is in sparse rows");
	build();
}

static void
test_flags(void)
{
	HbEncoder encoder = {COLUMNS, header->inputs, columns, NULL};
	HbColumn own = columns[3];
	float out[128];

	columns[3].indicator = 0;
	columns[3].input_width--;
	hb_encode_row(&encoder, &records[5], out, 0);
	ok(out[own.input_offset] == 0 && out[own.input_offset + BYTES - 1] == 0,
	   "missing bytes without an indicator give the mean");
	build();
}

static void
refused(const char *what)
{
	HbDataset dataset;
	HbStatus status;

	hb_status_init(&status);
	ok(!hb_dataset_open(base, TOTAL, &dataset, &status) && strcmp(status.sqlstate, "08P01") == 0,
	   "refused: %s", what);
	build();
}

static void
test_refusals(void)
{
	HbDataset dataset;
	HbStatus status;

	ok(!hb_dataset_open(base, 10, &dataset, &status), "refused: too short for a header");
	header->magic++;
	refused("another magic number");
	header->total_bytes = TOTAL + 1;
	refused("a total beyond the mapping");
	header->rows = UINT64_MAX / 4;
	refused("too many rows");
	header->records_offset = TOTAL - 64;
	refused("records beyond the end");
	header->records_offset += 4;
	refused("an offset that is not aligned");
	header->records_offset = UINT64_MAX & ~63ull;
	refused("an offset that overflows");
	header->columns = 1u << 31;
	refused("too many columns");
	header->inputs++;
	refused("inputs that the columns do not fill");
	columns[3].length = -1;
	refused("a negative length");
	columns[3].length = 1 << 30;
	refused("an array beyond the record");
	columns[2].levels = 1000;
	refused("too many levels");
	columns[4] = columns[2];
	columns[4].levels = columns[4].null_input = columns[4].other_input = 0;
	columns[4].input_width = 0;
	columns[4].input_offset = columns[3].input_offset + columns[3].input_width;
	header->inputs = columns[4].input_offset;
	refused("a category without inputs");
	columns[1].kind = 17;
	refused("an unknown kind");
	columns[0].record_offset = UINT32_MAX;
	refused("a column outside the record");
	columns[1].input_offset = 0;
	refused("inputs of two columns in one place");
	columns[0].mean = NAN;
	refused("a mean that is no number");
	order[3] = ROWS;
	refused("a row that does not exist");
	targets[2] = 3;
	refused("a class that does not exist");
	header->rows_train = UINT64_MAX - 3;
	refused("parts larger than the table");
}

/* Whatever a header says, opening answers and an opened data set can be read. */
static void
test_corruption(void)
{
	float out[4096];
	int opened = 0;

	for (int round = 0; round < 10000; round++)
	{
		HbDataset dataset;
		HbStatus status;
		uint32_t words[4];

		hb_random4(1, HB_STREAM_SAMPLE, 0, round, words);
		base[words[0] % 600] ^= (unsigned char) (1 + words[1] % 255);
		if (hb_dataset_open(base, TOTAL, &dataset, &status) && header->inputs <= 4096)
		{
			HbEncoder encoder = {header->columns, header->inputs, dataset.columns, NULL};

			for (uint64_t i = 0; i < header->rows_train; i++)
				hb_encode_rows(&encoder, &dataset, dataset.train + i, 1, 0, out, header->inputs);
			opened++;
		}
		if (round % 3 == 2)
			build();
	}
	build();
	ok(opened > 0, "10,000 corrupted headers: %d harmless ones were read, the others refused",
	   opened);
}

static const HbEncodeKernels *
reference_kernels(void)
{
	int k = 0;

	while (hb_encode_kernel_list[k + 1] != NULL)
		k++;
	return hb_encode_kernel_list[k];
}

/* Bytes that are looked up become what standardising them one by one makes of them, to the last of any length. */
static void
test_byte_lookups(void)
{
	const HbEncodeKernels *reference = reference_kernels();
	unsigned char bytes[400];
	float expected[401], got[401];

	for (int i = 0; i < 400; i++)
		bytes[i] = (unsigned char) (i * 167 + i / 256);
	for (int k = 0; hb_byte_lookup_list[k] != NULL; k++)
	{
		const HbByteLookup *lookup = hb_byte_lookup_list[k];
		bool same = true;

		if (!lookup->available())
		{
			tap_skip("this processor cannot run the %s encoder of bytes", lookup->name);
			continue;
		}
		for (int32_t length = 0; length <= 399; length++)
		{
			float limit = length & 1 ? 2 : INFINITY;
			HbByteValues values;

			hb_byte_values(100.25, 0.013, limit, &values);
			expected[length] = got[length] = 77;
			reference->bytes(bytes + 1, length, 100.25, 0.013, limit, expected);
			lookup->look_up(bytes + 1, length, &values, got);
			same = same && memcmp(expected, got, (size_t) (length + 1) * sizeof(float)) == 0;
		}
		ok(same, "%s: bytes are looked up to the reference's bits, and nothing is written behind",
		   lookup->name);
	}
}

/* Every instruction set makes the same inputs of an array, wherever it lies, NaN and infinity too. */
static void
test_array_kernels(void)
{
	unsigned char bytes[1601];
	float values[400], expected[1601], got[1601], limits[66];
	double mean[66], scale[66];
	const HbEncodeKernels *reference = reference_kernels();

	for (int c = 0; c < 66; c++)
	{
		mean[c] = 0.1 * c;
		scale[c] = 1.0 / (1 + c);
		limits[c] = c % 3 ? 2 : INFINITY;
	}

	for (int i = 0; i < 1601; i++)
		bytes[i] = (unsigned char) (i * 167 + i / 256);
	hb_random_normals(3, HB_STREAM_SAMPLE, 1, values, 400);
	values[7] = NAN, values[100] = INFINITY, values[398] = 1e30f, values[399] = -INFINITY;
	memcpy(bytes + 1, values, 1600);
	for (int k = 0; hb_encode_kernel_list[k] != reference; k++)
	{
		const HbEncodeKernels *kernels = hb_encode_kernel_list[k];
		bool same = true;

		if (!kernels->available())
		{
			tap_skip("this processor cannot run the %s encoder", kernels->name);
			continue;
		}
		for (int32_t length = 0; length < 70; length++)
			for (int at = 0; at < 2; at++)
			{
				float limit = length & 1 ? 2 : INFINITY;
				int32_t floats = length == 69 ? 400 : length;

				reference->bytes(bytes + at, length, 100.25, 0.013, limit, expected);
				kernels->bytes(bytes + at, length, 100.25, 0.013, limit, got);
				same = same && memcmp(expected, got, (size_t) length * sizeof(float)) == 0;
				reference->floats(bytes + at, floats, 0.125, 1.7, limit, expected);
				kernels->floats(bytes + at, floats, 0.125, 1.7, limit, got);
				same = same && memcmp(expected, got, (size_t) floats * sizeof(float)) == 0;
			}
		for (int32_t columns_beside = 0; columns_beside < 66; columns_beside++)
			for (int at = 1; at < 340; at += 37)
			{
				reference->numbers(bytes + at, columns_beside, mean, scale, limits, expected);
				kernels->numbers(bytes + at, columns_beside, mean, scale, limits, got);
				same = same && memcmp(expected, got, (size_t) columns_beside * sizeof(float)) == 0;
			}
		ok(same, "%s: arrays and columns side by side are encoded to the reference's bits",
		   kernels->name);
	}
}

/* A wide table: floats beside each other, in more columns than are looked at together, with others between them. */
static void
test_columns_side_by_side(void)
{
	enum
	{
		WIDE = 600,
		MANY = 67,
		FOLLOWING = 9
	};
	static HbColumn wide[WIDE];
	static float out[MANY][2 * WIDE + 6], sparse[MANY][2 * WIDE + 6], expected[2 * WIDE + 6];
	static unsigned char wide_records[MANY * WIDE * 4];
	HbDatasetHeader wide_header = {.record_bytes = WIDE * 4};
	HbDataset dataset = {.header = &wide_header, .records = wide_records};
	HbEncoder encoder = {.ncolumns = WIDE, .columns = wide};
	uint32_t rows[MANY];
	float value;
	int wrong = 0;

	for (uint32_t c = 0; c < WIDE; c++)
	{
		bool category = c % 200 == 100;

		wide[c] = (HbColumn){.kind = category ? HB_COLUMN_CATEGORY : HB_COLUMN_FLOAT,
							 .length = 1,
							 .levels = category ? 3 : 0,
							 .record_offset = 4 * (c == 120   ? 121
												   : c == 121 ? 120
															  : c),
							 .input_offset = encoder.inputs,
							 .input_width = category       ? 3
											: c % 50 == 49 ? 2
														   : 1,
							 .indicator = c % 50 == 49,
							 .clip = c % 7 ? 1.5f : 0,
							 .mean = 0.01 * c,
							 .scale = 2.0 / (1 + c)};
		encoder.inputs += wide[c].input_width;
	}
	for (int i = 0; i < MANY; i++)
	{
		rows[i] = (uint32_t) (i * 23 % MANY);
		hb_random_normals(5, HB_STREAM_SAMPLE, (uint64_t) i, expected, WIDE);
		expected[3 * i] = NAN;
		memcpy(wide_records + i * WIDE * 4, expected, WIDE * 4);
		for (int c = 100; c < WIDE; c += 200)
		{
			wide_records[(i * WIDE + c) * 4] = (unsigned char) ((i + c) % 3);
			wide_records[(i * WIDE + c) * 4 + 1] = 0;
		}
	}
	memset(out, 0xff, sizeof(out));
	hb_encode_rows(&encoder, &dataset, rows, MANY - FOLLOWING, FOLLOWING, out[0], 2 * WIDE + 6);
	ok(isnan(out[MANY - FOLLOWING][0]), "rows that follow are not encoded");
	hb_encode_rows(&encoder, &dataset, rows + MANY - FOLLOWING, FOLLOWING, 0, out[MANY - FOLLOWING],
				   2 * WIDE + 6);
	for (int i = 0; i < MANY; i++)
	{
		hb_encode_row(&encoder, wide_records + rows[i] * WIDE * 4, expected, 2 * WIDE + 6);
		wrong += memcmp(out[i], expected, sizeof(expected)) != 0;
	}
	is_int(wrong, 0, "columns side by side: many rows at once are what each is alone, bit for bit");
	expand(&encoder, &dataset, rows, MANY, 2 * WIDE + 6, sparse[0]);
	is_int(unequal(out[0], sparse[0], MANY * (2 * WIDE + 6)), 0, "and so are sparse rows");
	memcpy(&value, wide_records + rows[1] * WIDE * 4 + 4 * 121, sizeof(value));
	ok(out[1][wide[120].input_offset] ==
		   fmaxf(-1.5f, fminf(1.5f, (float) ((value - 1.2) * (2.0 / 121)))),
	   "and a column keeps its place");
}

int
main(void)
{
	base = hb_alloc(&hb_host_malloc, TOTAL);
	build();
	test_encode();
	test_array_kernels();
	test_byte_lookups();
	test_columns_side_by_side();
	test_categories();
	test_flags();
	test_refusals();
	test_corruption();
	hb_release(&hb_host_malloc, base);
	return tap_done();
}
