/*
 * load_finish.c - from records, order and split to the finished data set
 *
 * Means and deviations are those of the training rows (divided by n), from the sums of load_count.c.
 * Category codes replace the numbers that labels had while they were read; constant columns are left out.
 */
#include "pg/load_internal.h"

#include <math.h>

#include "core/sums.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

typedef struct Finish
{
	HbLoad *load;
	uint32 *parts[3]; /* row numbers by HbPart, in row order */
	HbColumnStats *stats;
	HbFieldEncoder encoder;
	int *source;    /* load column of each encoder column */
	uint16 **codes; /* by load column: code of each level */
	void *targets;
	double target_mean;
	double target_scale;
} Finish;

/* By part, in place: the training rows move up, and the others, which are fewer, wait aside meanwhile. */
static void
order_parts(Finish *finish)
{
	HbLoad *load = finish->load;
	uint64 n[3] = {0, 0, 0}, moved = load->count[HB_PART_VALIDATION] + load->count[HB_PART_TEST];
	uint32 *others = hb_pages_alloc(load->context, sizeof(uint32) * moved);
	uint32 *parts[3] = {load->order, others, others + load->count[HB_PART_VALIDATION]};

	for (uint64 i = 0; i < load->nrows; i++)
	{
		uint32 row = load->order[i];
		HbPart part = hb_row_part(load, row);

		if (i + HB_ROWS_AHEAD < load->nrows)
			__builtin_prefetch(&load->tails[load->order[i + HB_ROWS_AHEAD]]);
		parts[part][n[part]++] = row;
	}
	finish->parts[HB_PART_TRAIN] = load->order;
	finish->parts[HB_PART_VALIDATION] = load->order + n[HB_PART_TRAIN];
	finish->parts[HB_PART_TEST] = finish->parts[HB_PART_VALIDATION] + n[HB_PART_VALIDATION];
	memcpy(finish->parts[HB_PART_VALIDATION], others, sizeof(uint32) * moved);
	hb_pages_free(others);
}

static bool
any_scalar(const HbLoad *load)
{
	for (int c = 0; c < load->ncolumns; c++)
		if (!load->columns[c].flagged)
			return true;
	return false;
}

/* Sets mean and scale of a number or array; false where all its values are the same. */
static bool
standardise(const HbColumnStats *stats, const HbLoadColumn *source, HbColumn *column)
{
	double n = (double) stats->n, variance;

	column->mean = 0.0;
	column->scale = 1.0;
	if (stats->n == 0)
		return false;
	if (source->op == HB_OP_FLOATS)
	{
		column->mean = stats->sum;
		variance = stats->squares / n;
	}
	else
	{
		column->mean = stats->shift + stats->sum / n;
		variance = hb_sum_spread(stats->sum, stats->squares, n) / n;
	}
	if (!(variance > 0.0) || !isfinite(1.0 / sqrt(variance)))
		return false;
	column->scale = 1.0 / sqrt(variance);
	return true;
}

static int
compare_frequency(const void *a, const void *b, void *arg)
{
	const HbLevel *levels = arg;
	const HbLevel *x = &levels[*(const uint32 *) a], *y = &levels[*(const uint32 *) b];

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return strcmp(x->label, y->label);
}

/* The most frequent training levels get codes in C order of their labels, the rest HB_CODE_OTHER. */
static void
encode_levels(Finish *finish, int c, HbFieldColumn *field)
{
	HbDict *dict = finish->load->columns[c].dict;
	uint32 *chosen =
		palloc_extended(sizeof(uint32) * Max((Size) dict->nlevels, 1), MCXT_ALLOC_HUGE);
	uint16 *codes = palloc_extended(sizeof(uint16) * Max((Size) dict->nlevels, 1), MCXT_ALLOC_HUGE);
	uint32 n = 0, kept = 0;
	uint32 *sorted = hb_dict_sorted(dict);
	bool *frequent =
		palloc_extended(Max((Size) dict->nlevels, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	for (uint32 i = 0; i < dict->nlevels; i++)
		if (dict->levels[i].count > 0)
			chosen[n++] = i;
	if (n > HB_MAX_LEVELS)
		qsort_arg(chosen, n, sizeof(uint32), compare_frequency, dict->levels);
	for (uint32 i = 0; i < Min(n, HB_MAX_LEVELS); i++)
		frequent[chosen[i]] = true;
	field->levels = palloc0(sizeof(char *) * (HB_MAX_LEVELS + 1));
	for (uint32 i = 0; i < dict->nlevels; i++)
	{
		codes[sorted[i]] = HB_CODE_OTHER;
		if (!frequent[sorted[i]])
			continue;
		field->levels[kept] = unconstify(char *, dict->levels[sorted[i]].label);
		codes[sorted[i]] = (uint16) kept++;
	}
	field->column.levels = (int32) kept;
	field->column.other_input = n > HB_MAX_LEVELS;
	finish->codes[c] = codes;
	finish->stats[c].levels = n;
	if (n > HB_MAX_LEVELS)
		hb_load_note(
			finish->load,
			"column \"%s\" has %u distinct values: the %d most frequent are told apart, the "
			"rest count as \"other\"",
			field->name, n, HB_MAX_LEVELS);
	pfree(chosen);
	pfree(sorted);
	pfree(frequent);
}

/* Fills the column's description; false where it is constant over the training rows. */
static bool
describe_column(Finish *finish, int c, HbFieldColumn *field)
{
	HbLoad *load = finish->load;
	const HbLoadColumn *source = &load->columns[c];
	const HbColumnStats *stats = &finish->stats[c];
	HbColumn *column = &field->column;
	bool varies;

	memset(field, 0, sizeof(*field));
	field->name = source->field->name;
	field->type = source->field->type;
	column->kind = source->field->kind;
	column->length = source->length;
	column->record_offset = source->offset;
	if (source->dict != NULL)
	{
		column->scale = 1.0;
		column->null_input = stats->missing > 0;
		encode_levels(finish, c, field);
		column->input_width = column->levels + column->null_input + column->other_input;
		return stats->levels + column->null_input > 1;
	}
	varies = standardise(stats, source, column);
	column->clip = (float) load->request->clip;
	column->indicator = stats->missing > 0;
	column->input_width = column->length + column->indicator;
	/* One value and gaps: the gaps vary, unless nothing else is there. */
	return varies || (column->indicator && stats->n > 0);
}

static void
describe_columns(Finish *finish)
{
	HbLoad *load = finish->load;
	HbFieldEncoder *encoder = &finish->encoder;
	uint64 inputs = 0;

	encoder->fields = palloc0(sizeof(HbFieldColumn) * load->ncolumns);
	encoder->columns = palloc0(sizeof(HbColumn) * load->ncolumns);
	finish->source = palloc0(sizeof(int) * load->ncolumns);
	finish->codes = palloc0(sizeof(uint16 *) * load->ncolumns);
	for (int c = 0; c < load->ncolumns; c++)
	{
		HbFieldColumn *field = &encoder->fields[encoder->ncolumns];

		if (!describe_column(finish, c, field))
		{
			hb_load_note(load, "column \"%s\" is constant over the training rows and is not used",
						 load->columns[c].field->name);
			continue;
		}
		field->column.input_offset = (uint32) inputs;
		inputs += field->column.input_width;
		if (inputs > HB_MAX_INPUTS)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many features"),
							errdetail("More than %d inputs are needed.", HB_MAX_INPUTS)));
		finish->source[encoder->ncolumns] = c;
		encoder->columns[encoder->ncolumns++] = field->column;
	}
	if (encoder->ncolumns == 0)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("all features are constant over the training rows")));
	encoder->inputs = (uint32) inputs;
	encoder->record_bytes = load->record_bytes;
}

/* Numbers of levels in the records become codes. */
static void
recode_records(Finish *finish, char *records)
{
	HbLoad *load = finish->load;

	for (uint64 i = 0; i < load->nrows; i++)
	{
		char *record = records + i * load->record_bytes;

		if ((i & 0xFFFF) == 0)
			CHECK_FOR_INTERRUPTS();
		for (int c = 0; c < load->ncolumns; c++)
		{
			uint32 level;
			uint16 code = HB_CODE_NULL;

			if (load->columns[c].dict == NULL)
				continue;
			memcpy(&level, record + load->columns[c].offset, sizeof(level));
			if (level != HB_NULL_LEVEL)
				code = finish->codes[c][level];
			level = code; /* its upper half is padding from now on: zero */
			memset(record + load->columns[c].offset, 0, sizeof(level));
			memcpy(record + load->columns[c].offset, &code, sizeof(code));
		}
	}
}

static void
finish_columns(Finish *finish)
{
	HbLoad *load = finish->load;
	bool categories = false;
	char *map = NULL;

	for (int c = 0; c < load->ncolumns; c++)
		categories |= load->columns[c].dict != NULL;
	if (any_scalar(load))
		map = hb_file_map(&load->file, load->records_offset + load->nrows * load->record_bytes,
						  categories);
	finish->stats = hb_load_count(load, map == NULL ? NULL : map + load->records_offset);
	describe_columns(finish);
	if (categories)
		recode_records(finish, map + load->records_offset);
	hb_file_unmap(&load->file);
}

/* Rows whose targets are summed together. */
#define TARGET_ROWS 64

/* The training rows' targets, through one of the two passes that their sums take. */
static void
visit_targets(HbLoad *load, HbSums *sums, bool range)
{
	HbNumberRun run = {.count = 1};
	double targets[TARGET_ROWS];
	const char *places[TARGET_ROWS];
	int n = 0;

	for (int i = 0; i < TARGET_ROWS; i++)
		places[i] = (const char *) &targets[i];
	for (uint64 row = 0; row <= load->nrows; row++)
	{
		if (n == TARGET_ROWS || row == load->nrows)
		{
			if (range)
				hb_sums_range(sums, &run, places, n);
			else
				hb_sums_add(sums, &run, 1, places, n);
			n = 0;
		}
		if (row < load->nrows && hb_row_part(load, row) == HB_PART_TRAIN)
			targets[n++] = hb_target_number(load, row);
	}
}

static void
standardise_targets(Finish *finish)
{
	HbLoad *load = finish->load;
	uint64 n = load->count[HB_PART_TRAIN];
	float *targets = finish->targets;
	HbSums sums;
	HbSum sum;

	hb_sums_init(&sums, 1, palloc(hb_sums_bytes(1)));
	visit_targets(load, &sums, true);
	hb_sums_scale(&sums);
	visit_targets(load, &sums, false);
	sum = hb_sums_result(&sums, 0);
	finish->target_mean = sum.shift + sum.sum / n;
	finish->target_scale = sqrt(Max(hb_sum_spread(sum.sum, sum.squares, n) / n, 0.0));
	if (!(finish->target_scale > 0.0) || !isfinite(1.0 / finish->target_scale))
	{
		finish->target_scale = 1.0;
		hb_load_note(load, "target column \"%s\" is constant over the training rows",
					 load->plan->target.name);
	}
	for (uint64 i = 0; i < load->nrows; i++)
		targets[i] =
			(float) ((hb_target_number(load, i) - finish->target_mean) / finish->target_scale);
}

/*
 * Targets take the place of the rows' digests, which nothing needs any more: the one of row i is written where no later row's
 * was.
 */
static void
finish_targets(Finish *finish)
{
	HbLoad *load = finish->load;
	uint32 *targets = (uint32 *) load->rows;

	finish->targets = targets;
	finish->target_mean = 0.0;
	finish->target_scale = 1.0;
	if (load->task == HB_TASK_REGRESSION)
		standardise_targets(finish);
	else
		for (uint64 i = 0; i < load->nrows; i++)
			targets[i] = load->rows[i].target.level;
	hb_pages_free(load->tails);
	hb_pages_trim(targets, load->nrows * sizeof(uint32));
	finish->encoder.target_mean = finish->target_mean;
	finish->encoder.target_scale = finish->target_scale;
}

static size_t
write_file(Finish *finish)
{
	HbLoad *load = finish->load;
	HbDatasetHeader header = {0};
	Size rows_bytes = sizeof(uint32) * load->nrows;

	header.magic = HB_DATASET_MAGIC;
	header.version = HB_DATASET_VERSION;
	header.task = load->task;
	header.outputs = load->nclasses;
	header.columns = finish->encoder.ncolumns;
	header.inputs = finish->encoder.inputs;
	header.record_bytes = load->record_bytes;
	header.rows = load->nrows;
	header.rows_train = load->count[HB_PART_TRAIN];
	header.rows_validation = load->count[HB_PART_VALIDATION];
	header.rows_test = load->count[HB_PART_TEST];
	header.columns_offset = TYPEALIGN(64, sizeof(header));
	header.records_offset = load->records_offset;
	header.targets_offset =
		TYPEALIGN(64, load->records_offset + load->nrows * (uint64) load->record_bytes);
	header.order_offset = TYPEALIGN(64, header.targets_offset + rows_bytes);
	header.total_bytes = header.order_offset + rows_bytes;
	header.target_mean = finish->target_mean;
	header.target_scale = finish->target_scale;
	hb_file_write_at(&load->file, header.targets_offset, finish->targets, rows_bytes);
	hb_file_write_at(&load->file, header.order_offset, finish->parts[HB_PART_TRAIN], rows_bytes);
	hb_file_write_at(&load->file, header.columns_offset, finish->encoder.columns,
					 sizeof(HbColumn) * finish->encoder.ncolumns);
	hb_file_write_at(&load->file, 0, &header, sizeof(header));
	hb_file_seal(&load->file, header.total_bytes);
	return header.total_bytes;
}

static bytea *
digest_bytea(HbHash128 digest)
{
	bytea *result = palloc(VARHDRSZ + sizeof(digest));

	SET_VARSIZE(result, VARHDRSZ + sizeof(digest));
	memcpy(VARDATA(result), &digest, sizeof(digest));
	return result;
}

static void
append_column(StringInfo text, const HbLoadField *field)
{
	appendStringInfo(text, "%s %s,", quote_identifier(field->name),
					 format_type_be(field->declared));
}

/* Of all rows whatever their order, the number of rows and the columns by name. */
static bytea *
fingerprint(HbLoad *load, int *by_name)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < load->ncolumns; i++)
		append_column(&text, &load->plan->fields[by_name[i]]);
	append_column(&text, &load->plan->target);
	appendBinaryStringInfo(&text, (char *) &load->digest, sizeof(load->digest));
	appendBinaryStringInfo(&text, (char *) &load->read, sizeof(load->read));
	appendBinaryStringInfo(&text, (char *) &load->skipped, sizeof(load->skipped));
	return digest_bytea(hb_hash128(text.data, text.len));
}

/* Two models of one key were validated on the same rows, as far as these still exist. */
static bytea *
split_key(HbLoad *load, int *by_name)
{
	const HbLoadRequest *request = load->request;
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "%s:", load->plan->qualified);
	for (int i = 0; i < load->ncolumns; i++)
		appendStringInfo(&text, "%s,", quote_identifier(load->plan->fields[by_name[i]].name));
	appendBinaryStringInfo(&text, (const char *) &request->validation, sizeof(request->validation));
	appendBinaryStringInfo(&text, (const char *) &request->test, sizeof(request->test));
	appendBinaryStringInfo(&text, (const char *) &request->split_seed, sizeof(request->split_seed));
	return digest_bytea(hb_hash128(text.data, text.len));
}

static int
compare_fields(const void *a, const void *b, void *arg)
{
	const HbLoadField *fields = arg;

	return strcmp(fields[*(const int *) a].name, fields[*(const int *) b].name);
}

static void
describe_digests(HbLoad *load, HbLoadResult *result)
{
	int *by_name = palloc(sizeof(int) * load->ncolumns);

	for (int i = 0; i < load->ncolumns; i++)
		by_name[i] = i;
	qsort_arg(by_name, load->ncolumns, sizeof(int), compare_fields, load->plan->fields);
	result->fingerprint = fingerprint(load, by_name);
	result->split_key = split_key(load, by_name);
}

static char **
copy_strings(char **strings, uint64 n)
{
	char **copy = palloc_extended(sizeof(char *) * (n + 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	for (uint64 i = 0; i < n; i++)
		copy[i] = pstrdup(strings[i]);
	return copy;
}

/* Everything but descriptor and mapping; in the current context. */
static HbLoadResult *
build_result(Finish *finish)
{
	HbLoad *load = finish->load;
	HbFieldEncoder *encoder = &finish->encoder;
	HbLoadResult *result = palloc0(sizeof(HbLoadResult));
	ListCell *cell;
	int n = 0;

	result->fd = -1;
	result->task = load->task;
	result->features = palloc0(sizeof(char *) * (encoder->ncolumns + 1));
	result->feature_types = palloc0(sizeof(char *) * (encoder->ncolumns + 1));
	for (int i = 0; i < encoder->ncolumns; i++)
	{
		result->features[i] = pstrdup(encoder->fields[i].name);
		result->feature_types[i] = format_type_be(load->columns[finish->source[i]].field->declared);
	}
	if (load->task == HB_TASK_CLASSIFICATION)
		result->labels = copy_strings(load->labels, load->nclasses);
	result->rows_train = load->count[HB_PART_TRAIN];
	result->rows_validation = load->count[HB_PART_VALIDATION];
	result->rows_test = load->count[HB_PART_TEST];
	result->rows_skipped = load->skipped;
	result->encoder = hb_encoder_to_jsonb(encoder);
	describe_digests(load, result);
	result->notices = palloc0(sizeof(char *) * (list_length(load->notices) + 1));
	foreach (cell, load->notices)
		result->notices[n++] = pstrdup(lfirst(cell));
	return result;
}

HbLoadResult *
hb_load_finish(HbLoad *load, MemoryContext result_context)
{
	Finish finish = {.load = load};
	HbLoadResult *result;
	MemoryContext before;
	HbStatus status;
	size_t length;

	order_parts(&finish);
	finish_columns(&finish);
	finish_targets(&finish);
	length = write_file(&finish);
	before = MemoryContextSwitchTo(result_context);
	result = build_result(&finish);
	MemoryContextSwitchTo(before);
	result->length = length;
	hb_status_init(&status);
	if (!hb_dataset_open(hb_file_map(&load->file, length, false), length, &result->dataset,
						 &status))
		hb_raise(&status);
	result->fd = load->file.fd;
	hb_file_release(&load->file);
	return result;
}
