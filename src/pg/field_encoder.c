/*
 * field_encoder.c - a model's encoder as JSON, and a model's encoder over another study's records
 *
 * The JSON is what model.encoder holds: it is enough to build a record from a row and to expand it
 * as in training.  Numbers are written with 17 digits, so that means and scales come back bit by bit.
 * It may come from a hostile dump: reading trusts no number.
 */
#include "pg/field.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

#define ENCODER_VERSION 1
#define MAX_RECORD_BYTES (16 * 1024 * 1024)
#define MAX_COLUMNS 1600

/* Types by the names they have in the JSON; a type not listed is a category's own (an enum), read as text. */
static const struct
{
	const char *name;
	Oid type;
	HbColumnKind kind; /* as hb_field_kind() has it: reading an encoder needs no catalog */
} field_types[] = {
	{"smallint", INT2OID, HB_COLUMN_FLOAT},
	{"integer", INT4OID, HB_COLUMN_DOUBLE},
	{"bigint", INT8OID, HB_COLUMN_DOUBLE},
	{"real", FLOAT4OID, HB_COLUMN_FLOAT},
	{"double precision", FLOAT8OID, HB_COLUMN_DOUBLE},
	{"numeric", NUMERICOID, HB_COLUMN_DOUBLE},
	{"boolean", BOOLOID, HB_COLUMN_CATEGORY},
	{"text", TEXTOID, HB_COLUMN_CATEGORY},
	{"character varying", VARCHAROID, HB_COLUMN_CATEGORY},
	{"character", BPCHAROID, HB_COLUMN_CATEGORY},
	{"name", NAMEOID, HB_COLUMN_CATEGORY},
	{"uuid", UUIDOID, HB_COLUMN_CATEGORY},
	{"date", DATEOID, HB_COLUMN_FLOAT},
	{"time without time zone", TIMEOID, HB_COLUMN_DOUBLE},
	{"time with time zone", TIMETZOID, HB_COLUMN_DOUBLE},
	{"timestamp without time zone", TIMESTAMPOID, HB_COLUMN_DOUBLE},
	{"timestamp with time zone", TIMESTAMPTZOID, HB_COLUMN_DOUBLE},
	{"interval", INTERVALOID, HB_COLUMN_DOUBLE},
	{"bytea", BYTEAOID, HB_COLUMN_BYTES},
	{"smallint[]", INT2ARRAYOID, HB_COLUMN_FLOATS},
	{"integer[]", INT4ARRAYOID, HB_COLUMN_FLOATS},
	{"bigint[]", INT8ARRAYOID, HB_COLUMN_FLOATS},
	{"real[]", FLOAT4ARRAYOID, HB_COLUMN_FLOATS},
	{"double precision[]", FLOAT8ARRAYOID, HB_COLUMN_FLOATS},
	{"numeric[]", NUMERICARRAYOID, HB_COLUMN_FLOATS},
};

static const char *const kind_names[] = {"float", "double", "category", "bytes", "floats"};

static void
put_key(JsonbParseState **state, const char *key)
{
	JsonbValue value;

	value.type = jbvString;
	value.val.string.val = unconstify(char *, key);
	value.val.string.len = strlen(key);
	pushJsonbValue(state, WJB_KEY, &value);
}

static void
put_string(JsonbParseState **state, const char *key, const char *text)
{
	JsonbValue value;

	if (key != NULL)
		put_key(state, key);
	value.type = jbvString;
	value.val.string.val = unconstify(char *, text);
	value.val.string.len = strlen(text);
	pushJsonbValue(state, key != NULL ? WJB_VALUE : WJB_ELEM, &value);
}

static void
put_number(JsonbParseState **state, const char *key, double number)
{
	JsonbValue value;
	char *text = psprintf("%.17g", number);

	put_key(state, key);
	value.type = jbvNumeric;
	value.val.numeric = DatumGetNumeric(DirectFunctionCall3(
		numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	pushJsonbValue(state, WJB_VALUE, &value);
}

static void
put_column(JsonbParseState **state, const HbFieldColumn *field)
{
	const HbColumn *column = &field->column;

	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	put_string(state, "name", field->name);
	put_string(state, "type", format_type_be(field->type));
	put_string(state, "kind", kind_names[column->kind]);
	put_number(state, "length", column->length);
	put_number(state, "record_offset", column->record_offset);
	put_number(state, "input_offset", column->input_offset);
	put_number(state, "input_width", column->input_width);
	put_number(state, "indicator", column->indicator);
	put_number(state, "null_input", column->null_input);
	put_number(state, "other_input", column->other_input);
	put_number(state, "clip", column->clip);
	put_number(state, "mean", column->mean);
	put_number(state, "scale", column->scale);
	if (column->kind == HB_COLUMN_CATEGORY)
	{
		put_key(state, "levels");
		pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
		for (int i = 0; i < column->levels; i++)
			put_string(state, NULL, field->levels[i]);
		pushJsonbValue(state, WJB_END_ARRAY, NULL);
	}
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

Jsonb *
hb_encoder_to_jsonb(const HbFieldEncoder *encoder)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	put_number(&state, "version", ENCODER_VERSION);
	put_number(&state, "inputs", encoder->inputs);
	put_number(&state, "record_bytes", encoder->record_bytes);
	put_number(&state, "target_mean", encoder->target_mean);
	put_number(&state, "target_scale", encoder->target_scale);
	put_key(&state, "columns");
	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < encoder->ncolumns; i++)
		put_column(&state, &encoder->fields[i]);
	pushJsonbValue(&state, WJB_END_ARRAY, NULL);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static void
corrupted(const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("encoder of the model is corrupted"),
					errdetail("The entry \"%s\" is missing or out of range.", what)));
}

/* The member of an object container; corrupted where it is missing or of another type. */
static JsonbValue *
get_member(JsonbContainer *object, const char *key, enum jbvType type)
{
	JsonbValue *value = getKeyJsonValueFromContainer(object, key, strlen(key), NULL);

	if (value == NULL || value->type != type)
		corrupted(key);
	return value;
}

static JsonbContainer *
get_array(JsonbContainer *object, const char *key, int limit)
{
	JsonbValue *value = get_member(object, key, jbvBinary);
	JsonbContainer *array = value->val.binary.data;

	if (!JsonContainerIsArray(array) || JsonContainerSize(array) > limit)
		corrupted(key);
	return array;
}

static char *
get_string(JsonbContainer *object, const char *key)
{
	JsonbValue *value = get_member(object, key, jbvString);

	return pnstrdup(value->val.string.val, value->val.string.len);
}

static double
get_number(JsonbContainer *object, const char *key)
{
	JsonbValue *value = get_member(object, key, jbvNumeric);
	double number = DatumGetFloat8(
		DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));

	if (!isfinite(number))
		corrupted(key);
	return number;
}

static int
get_integer(JsonbContainer *object, const char *key, int low, int high)
{
	double number = get_number(object, key);

	if (!(number >= low && number <= high) || number != floor(number))
		corrupted(key);
	return (int) number;
}

static Oid
type_by_name(const char *name, HbColumnKind kind)
{
	for (int i = 0; i < lengthof(field_types); i++)
		if (strcmp(field_types[i].name, name) == 0 && field_types[i].kind == kind)
			return field_types[i].type;
	switch (kind)
	{
		case HB_COLUMN_CATEGORY:
			return TEXTOID;
		case HB_COLUMN_FLOATS:
			return FLOAT4ARRAYOID;
		default:
			corrupted("type");
	}
	return InvalidOid;
}

static char **
get_levels(JsonbContainer *object, int *nlevels)
{
	JsonbContainer *array = get_array(object, "levels", HB_MAX_LEVELS);
	int n = JsonContainerSize(array);
	char **levels = palloc0(sizeof(char *) * (n + 1));

	for (int i = 0; i < n; i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(array, i);

		if (value == NULL || value->type != jbvString)
			corrupted("levels");
		levels[i] = pnstrdup(value->val.string.val, value->val.string.len);
	}
	*nlevels = n;
	return levels;
}

static void
get_column(JsonbContainer *object, HbFieldColumn *field)
{
	HbColumn *column = &field->column;
	char *kind = get_string(object, "kind");
	bool array;

	memset(column, 0, sizeof(*column));
	column->kind = -1;
	for (int i = 0; i < lengthof(kind_names); i++)
		if (strcmp(kind_names[i], kind) == 0)
			column->kind = i;
	if (column->kind < 0)
		corrupted("kind");
	array = column->kind == HB_COLUMN_BYTES || column->kind == HB_COLUMN_FLOATS;
	field->name = get_string(object, "name");
	field->type = type_by_name(get_string(object, "type"), (HbColumnKind) column->kind);
	column->length = get_integer(object, "length", 1, array ? HB_MAX_INPUTS : 1);
	column->record_offset = get_integer(object, "record_offset", 0, MAX_RECORD_BYTES);
	column->input_offset = get_integer(object, "input_offset", 0, HB_MAX_INPUTS);
	column->input_width = get_integer(object, "input_width", 1, HB_MAX_INPUTS);
	column->indicator = get_integer(object, "indicator", 0, 1);
	column->null_input = get_integer(object, "null_input", 0, 1);
	column->other_input = get_integer(object, "other_input", 0, 1);
	column->clip = (float) get_number(object, "clip");
	column->mean = get_number(object, "mean");
	column->scale = get_number(object, "scale");
	if (column->kind == HB_COLUMN_CATEGORY)
		field->levels = get_levels(object, &column->levels);
}

HbFieldEncoder *
hb_encoder_from_jsonb(Jsonb *jsonb)
{
	JsonbContainer *root = &jsonb->root;
	JsonbContainer *columns;
	HbFieldEncoder *encoder = palloc0(sizeof(HbFieldEncoder));
	HbStatus status;

	if (!JB_ROOT_IS_OBJECT(jsonb))
		corrupted("columns");
	get_integer(root, "version", ENCODER_VERSION, ENCODER_VERSION);
	encoder->inputs = get_integer(root, "inputs", 1, HB_MAX_INPUTS);
	encoder->record_bytes = get_integer(root, "record_bytes", 1, MAX_RECORD_BYTES);
	encoder->target_mean = get_number(root, "target_mean");
	encoder->target_scale = get_number(root, "target_scale");
	columns = get_array(root, "columns", MAX_COLUMNS);
	encoder->ncolumns = JsonContainerSize(columns);
	encoder->fields = palloc0(sizeof(HbFieldColumn) * Max(encoder->ncolumns, 1));
	encoder->columns = palloc0(sizeof(HbColumn) * Max(encoder->ncolumns, 1));
	for (int i = 0; i < encoder->ncolumns; i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(columns, i);

		if (value == NULL || value->type != jbvBinary ||
			!JsonContainerIsObject(value->val.binary.data))
			corrupted("columns");
		get_column(value->val.binary.data, &encoder->fields[i]);
		encoder->columns[i] = encoder->fields[i].column;
	}
	hb_status_init(&status);
	if (!hb_columns_check(encoder->columns, encoder->ncolumns, encoder->inputs,
						  encoder->record_bytes, &status))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED), errmsg("encoder of the model is corrupted"),
				 status.detail[0] != '\0' ? errdetail_internal("%s", status.detail) : 0));
	return encoder;
}

static const HbFieldColumn *
find_field(const HbFieldEncoder *encoder, const char *name)
{
	for (int i = 0; i < encoder->ncolumns; i++)
		if (strcmp(encoder->fields[i].name, name) == 0)
			return &encoder->fields[i];
	return NULL;
}

static bool
is_scalar_number(int kind)
{
	return kind == HB_COLUMN_FLOAT || kind == HB_COLUMN_DOUBLE;
}

/* For each of data's codes the model's code of the same label. */
static uint16_t *
remap_levels(const HbFieldColumn *model, const HbFieldColumn *data)
{
	uint16_t *table = palloc(sizeof(uint16_t) * HB_MAX_LEVELS);

	for (int i = 0; i < HB_MAX_LEVELS; i++)
		table[i] = HB_CODE_OTHER;
	for (int i = 0; i < data->column.levels; i++)
	{
		for (int j = 0; j < model->column.levels; j++)
			if (strcmp(model->levels[j], data->levels[i]) == 0)
				table[i] = (uint16_t) j;
	}
	return table;
}

HbEncoder *
hb_encoder_remap(const HbFieldEncoder *model, const HbFieldEncoder *data)
{
	HbEncoder *encoder = palloc0(sizeof(HbEncoder));
	HbColumn *columns = palloc0(sizeof(HbColumn) * Max(model->ncolumns, 1));
	const uint16_t **remap = palloc0(sizeof(uint16_t *) * Max(model->ncolumns, 1));

	for (int i = 0; i < model->ncolumns; i++)
	{
		const HbFieldColumn *own = &model->fields[i];
		const HbFieldColumn *other = find_field(data, own->name);

		if (other == NULL || other->column.length != own->column.length)
			return NULL;
		if (other->column.kind != own->column.kind &&
			!(is_scalar_number(other->column.kind) && is_scalar_number(own->column.kind)))
			return NULL;
		columns[i] = own->column;
		columns[i].kind = other->column.kind;
		columns[i].record_offset = other->column.record_offset;
		if (own->column.kind == HB_COLUMN_CATEGORY)
			remap[i] = remap_levels(own, other);
	}
	encoder->ncolumns = model->ncolumns;
	encoder->inputs = model->inputs;
	encoder->columns = columns;
	encoder->remap = remap;
	return encoder;
}
