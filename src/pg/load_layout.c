/*
 * load_layout.c - the query over the needed columns, and where each value goes in a record
 *
 * A record keeps doubles first, then floats and categories, then bytes, so that each is aligned; the tokens of a
 * row's digest follow each other in order of column name.
 */
#include "pg/load_internal.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

static HbLoadOp
choose_op(const HbLoadField *field)
{
	switch (field->type)
	{
		case INT2OID:
			return HB_OP_INT2;
		case INT4OID:
			return HB_OP_INT4;
		case INT8OID:
			return HB_OP_INT8;
		case FLOAT4OID:
			return HB_OP_FLOAT4;
		case FLOAT8OID:
			return HB_OP_FLOAT8;
		case BOOLOID:
			return HB_OP_BOOL;
		case TEXTOID:
		case VARCHAROID:
			return HB_OP_TEXT;
		default:
			break;
	}
	switch (field->kind)
	{
		case HB_COLUMN_BYTES:
			return HB_OP_BYTES;
		case HB_COLUMN_FLOATS:
			return HB_OP_FLOATS;
		case HB_COLUMN_CATEGORY:
			return type_is_enum(field->type) ? HB_OP_ENUM : HB_OP_LABEL;
		default:
			return HB_OP_NUMBER;
	}
}

static void
prepare_column(HbLoad *load, HbLoadColumn *column, const HbLoadField *field)
{
	column->field = field;
	column->place = field->place;
	column->op = choose_op(field);
	column->single = field->kind == HB_COLUMN_FLOAT;
	column->flagged = column->op == HB_OP_BYTES || column->op == HB_OP_FLOATS;
	column->length = column->flagged ? HB_NO_LENGTH : 1;
	if (field->kind != HB_COLUMN_CATEGORY)
		return;
	column->dict = hb_dict_create(load->context);
	if (column->op == HB_OP_BOOL)
	{
		hb_dict_add(column->dict, "false", 5, hb_hash128("false", 5));
		hb_dict_add(column->dict, "true", 4, hb_hash128("true", 4));
	}
	if (column->op == HB_OP_ENUM)
		column->enums = palloc0(sizeof(*column->enums) * HB_ENUM_CACHE);
}

/* Gives every column whose alignment is align its place in the record. */
static uint32
place_columns(HbLoad *load, uint32 align, uint32 offset)
{
	for (int i = 0; i < load->ncolumns; i++)
	{
		HbLoadColumn *column = &load->columns[i];
		HbColumnKind kind = column->field->kind;
		uint32 own = kind == HB_COLUMN_DOUBLE ? 8 : kind == HB_COLUMN_BYTES ? 1 : 4;

		if (own != align)
			continue;
		offset = TYPEALIGN(align, offset);
		column->offset = offset;
		offset += own * column->length + (column->flagged ? 1 : 0);
	}
	return offset;
}

static int
compare_names(const void *a, const void *b, void *arg)
{
	const HbLoadColumn *columns = arg;

	return strcmp(columns[*(const int *) a].field->name, columns[*(const int *) b].field->name);
}

/* Tokens in order of name, so that neither the table's nor the list's order matters. */
static void
place_tokens(HbLoad *load)
{
	int *by_name = palloc(sizeof(int) * load->ncolumns);
	uint32 offset = sizeof(uint64);

	for (int i = 0; i < load->ncolumns; i++)
		by_name[i] = i;
	qsort_arg(by_name, load->ncolumns, sizeof(int), compare_names, load->columns);
	for (int i = 0; i < load->ncolumns; i++)
	{
		HbLoadColumn *column = &load->columns[by_name[i]];
		bool number = column->dict == NULL && !column->flagged;

		column->token = offset;
		offset += number ? sizeof(uint64) : sizeof(HbHash128);
		if (column->flagged)
		{
			column->moments = load->moment_bytes;
			load->moment_bytes += sizeof(HbMoments);
		}
	}
	load->token_bytes = offset;
	load->tokens = palloc0(offset + load->moment_bytes);
	memcpy(load->tokens, &load->request->split_seed, sizeof(uint64));
}

/* All lengths are known: a record's layout, and room for the first rows. */
void
hb_load_lay_out(HbLoad *load)
{
	uint64 inputs = 0;
	uint32 align = 1;

	for (int i = 0; i < load->ncolumns; i++)
	{
		HbColumnKind kind = load->columns[i].field->kind;

		align = Max(align, kind == HB_COLUMN_DOUBLE ? 8 : kind == HB_COLUMN_BYTES ? 1 : 4);
		if (load->columns[i].length == HB_NO_LENGTH)
			load->columns[i].length = 0; /* NULL in every row: dropped as constant */
		inputs += load->columns[i].length;
	}
	if (inputs > HB_MAX_INPUTS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many features"),
						errdetail("Found " UINT64_FORMAT " inputs, at most %d can be used.", inputs,
								  HB_MAX_INPUTS)));
	load->record_bytes = place_columns(load, 8, 0);
	load->record_bytes = place_columns(load, 4, load->record_bytes);
	load->record_bytes = place_columns(load, 1, load->record_bytes);
	load->record_bytes = TYPEALIGN(align, load->record_bytes);
	load->row_cost = load->record_bytes + 2 * sizeof(uint32);
	place_tokens(load);
	load->capacity = Max(1024, (uint64) Min(load->estimated_rows * 1.1, 1e6));
	load->rows = hb_pages_alloc(load->context, load->capacity * sizeof(HbKeptRow));
	load->tails = hb_pages_alloc(load->context, load->capacity * sizeof(uint32));
	load->validation = hb_hash128_threshold(load->request->validation);
	load->test = hb_hash128_threshold(load->request->test);
	if (load->moment_bytes > 0)
		load->moments = hb_pages_alloc(load->context, load->capacity * load->moment_bytes);
	hb_file_start(&load->file, load->records_offset, load->record_bytes,
				  load->request->max_rows > 0 ? 0.0 : load->estimated_rows * load->record_bytes);
	/* Zeroed: padding bytes of records are written, too. */
	load->scratch = palloc0(load->record_bytes);
	if (load->request->max_rows > 0)
		load->sample = hb_sample_create(load, load->request->max_rows);
	load->laid_out = true;
}

static int
compare_attributes(const void *a, const void *b)
{
	const HbLoadField *x = *(HbLoadField *const *) a, *y = *(HbLoadField *const *) b;

	return x->attribute - y->attribute;
}

/*
 * Columns in the relation's order: where all of a table's are wanted, the executor then passes its tuples on
 * without a projection.
 */
static char *
build_query(HbLoadPlan *plan)
{
	int n = plan->nfields + 1;
	HbLoadField **fields = palloc(sizeof(HbLoadField *) * n);
	StringInfoData text;

	for (int i = 0; i < plan->nfields; i++)
		fields[i] = &plan->fields[i];
	fields[plan->nfields] = &plan->target;
	qsort(fields, n, sizeof(HbLoadField *), compare_attributes);
	initStringInfo(&text);
	for (int i = 0; i < n; i++)
	{
		fields[i]->place = i;
		appendStringInfo(&text, "%s%s", i == 0 ? "SELECT " : ", ",
						 quote_identifier(fields[i]->name));
	}
	appendStringInfo(&text, " FROM %s", plan->qualified);
	pfree(fields);
	return text.data;
}

void
hb_load_prepare(HbLoad *load)
{
	HbLoadPlan *plan = load->plan;

	load->query = build_query(plan); /* gives the columns their places */
	load->ncolumns = plan->nfields;
	load->columns = palloc0(sizeof(HbLoadColumn) * load->ncolumns);
	for (int i = 0; i < load->ncolumns; i++)
		prepare_column(load, &load->columns[i], &plan->fields[i]);
	if (plan->target_kind == HB_TARGET_LABEL)
		plan->target.kind = HB_COLUMN_CATEGORY;
	else
		plan->target.kind = HB_COLUMN_DOUBLE;
	prepare_column(load, &load->target, &plan->target);
	if (plan->target_kind == HB_TARGET_INTEGER)
		load->integers = hb_integers_create(HB_AUTO_CLASSES);
	load->row_context =
		AllocSetContextCreate(load->context, "hyperband row", 0, 64 * 1024, 8 * 1024 * 1024);
	load->records_offset =
		TYPEALIGN(4096, sizeof(HbDatasetHeader) + sizeof(HbColumn) * load->ncolumns);
	hb_file_open(&load->file, load->context);
}
