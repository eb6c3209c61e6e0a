/*
 * predict_row.c - one SQL row or JSON object to the record that a model's encoder reads
 *
 * A row is matched by column name where every feature is found; by position where none is, or the row is an anonymous
 * ROW(...), and the counts agree; else it is an error.  How each column feeds its feature is worked out once per row type.
 * Values are read as loading read them, by their own type: any number feeds a number, anything feeds a
 * category by the text that names it; text never feeds a number.  Literals without a type (and strings
 * in JSON for dates, times and bytea) are read as a value of the feature's own type.
 */
#include "pg.h"

#include <math.h>

#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "compute/encode.h"
#include "predict.h"

/* How a value becomes a field. */
typedef enum HbReading
{
	HB_READ_NUMBER,
	HB_READ_TEXT,   /* text and character varying: the level itself */
	HB_READ_LABEL,  /* boolean, enum and the like: the name of the level */
	HB_READ_OUTPUT, /* a category given another type: its output text */
	HB_READ_BYTES,
	HB_READ_FLOATS,
	HB_READ_LITERAL,      /* untyped: through the input function of the feature's type */
	HB_READ_LITERAL_LABEL /* untyped, of a text category: the level itself */
} HbReading;

typedef struct HbRowColumn
{
	int attribute; /* index in the row */
	HbReading reading;
	Oid type; /* of the value, domains by their base type */
	FmgrInfo function;
	Oid io_parameter;
} HbRowColumn;

struct HbRowMap
{
	MemoryContext context;
	uint64 row_type; /* tupleDesc identifier: changes when the type is altered */
	Oid type;
	TypeCacheEntry *entry; /* of a named type: where the identifier stands; entries live for ever */
	HbDirect *direct;      /* NULL: rows of this type go through Datums and a record */
	TupleDesc descriptor;
	Datum *values;
	bool *nulls;
	HbRowColumn *columns; /* by feature */
};

/* ---- storing one field ---- */

static const char *
feature_name(const HbRowBuffer *buffer, int j)
{
	return buffer->predictor->fields->fields[j].name;
}

static unsigned char *
field_of(const HbRowBuffer *buffer, const HbColumn *column)
{
	return buffer->record + column->record_offset;
}

static void
store_missing(HbRowBuffer *buffer, const HbColumn *column)
{
	unsigned char *field = field_of(buffer, column);
	const float no_float = NAN;
	const double no_double = NAN;
	const uint16 null_code = HB_CODE_NULL;

	switch (column->kind)
	{
		case HB_COLUMN_FLOAT:
			memcpy(field, &no_float, sizeof(no_float));
			break;
		case HB_COLUMN_DOUBLE:
			memcpy(field, &no_double, sizeof(no_double));
			break;
		case HB_COLUMN_CATEGORY:
			memcpy(field, &null_code, sizeof(null_code));
			break;
		case HB_COLUMN_BYTES:
			memset(field, 0, column->length);
			field[column->length] = 1;
			break;
		case HB_COLUMN_FLOATS:
			memset(field, 0, sizeof(float) * column->length);
			field[sizeof(float) * column->length] = 1;
			break;
	}
}

static void
store_number(HbRowBuffer *buffer, int j, double number)
{
	const HbColumn *column = &buffer->predictor->fields->columns[j];
	float narrow = (float) number;

	/* The number is within float's range: hb_field_number sees to that. */
	if (column->kind == HB_COLUMN_DOUBLE)
		memcpy(field_of(buffer, column), &number, sizeof(number));
	else
		memcpy(field_of(buffer, column), &narrow, sizeof(narrow));
}

/* Without the padding of char(n), which is not part of it. */
static size_t
label_length(const HbRowBuffer *buffer, int j, const char *label, size_t length)
{
	return buffer->predictor->fields->fields[j].type == BPCHAROID
			   ? (size_t) bpchartruelen(unconstify(char *, label), (int) length)
			   : length;
}

static void
store_label(HbRowBuffer *buffer, int j, const char *label, size_t length)
{
	const HbColumn *column = &buffer->predictor->fields->columns[j];
	const HbLevel *levels = buffer->predictor->levels[j];
	uint16 code = HB_CODE_OTHER;
	int low = 0;
	int high = column->levels - 1;

	while (low <= high)
	{
		int middle = (low + high) / 2;
		int order = memcmp(label, levels[middle].name, Min(length, levels[middle].length));

		if (order == 0 && length == levels[middle].length)
		{
			code = levels[middle].code;
			break;
		}
		if (order < 0 || (order == 0 && length < levels[middle].length))
			high = middle - 1;
		else
			low = middle + 1;
	}
	memcpy(field_of(buffer, column), &code, sizeof(code));
}

static void
wrong_length(const HbRowBuffer *buffer, int j, int found)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_DATA_EXCEPTION),
		 errmsg("arrays in column \"%s\" have different lengths", feature_name(buffer, j)),
		 errdetail("Expected %d, found %d.", buffer->predictor->fields->columns[j].length, found)));
}

static void
store_bytes(HbRowBuffer *buffer, int j, Datum value)
{
	const HbColumn *column = &buffer->predictor->fields->columns[j];
	unsigned char *field = field_of(buffer, column);
	bytea *bytes = DatumGetByteaPP(value);
	int length = VARSIZE_ANY_EXHDR(bytes);

	if (length != column->length)
		wrong_length(buffer, j, length);
	memcpy(field, VARDATA_ANY(bytes), length);
	field[length] = 0;
}

static void
store_floats(HbRowBuffer *buffer, int j, Oid type, Datum value)
{
	const HbColumn *column = &buffer->predictor->fields->columns[j];
	unsigned char *field = field_of(buffer, column);

	(void) hb_field_floats(type, value, feature_name(buffer, j), column->length, (float *) field);
	field[sizeof(float) * column->length] = 0;
}

/* A value whose type is of the feature's own kind. */
static void
store_value(HbRowBuffer *buffer, int j, Oid type, Datum value)
{
	const char *label;
	size_t length;

	switch (buffer->predictor->fields->columns[j].kind)
	{
		case HB_COLUMN_FLOAT:
		case HB_COLUMN_DOUBLE:
			store_number(buffer, j, hb_field_number(type, value, feature_name(buffer, j)));
			break;
		case HB_COLUMN_CATEGORY:
			label = hb_field_label(type, value, &length);
			store_label(buffer, j, label, length);
			break;
		case HB_COLUMN_BYTES:
			store_bytes(buffer, j, value);
			break;
		case HB_COLUMN_FLOATS:
			store_floats(buffer, j, type, value);
			break;
	}
}

/* ---- which types feed which features ---- */

static void
wrong_type(const HbRowBuffer *buffer, int j, const char *found)
{
	ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
					errmsg("column \"%s\" of the input has type %s, but the model expects %s",
						   feature_name(buffer, j), found,
						   format_type_be(buffer->predictor->fields->fields[j].type)),
					errhint("Cast the value to the type that the model was trained on.")));
}

static HbReading
reading_for(const HbRowBuffer *buffer, int j, Oid type)
{
	const HbFieldColumn *field = &buffer->predictor->fields->fields[j];
	HbColumnKind wanted = (HbColumnKind) field->column.kind;
	HbColumnKind kind;
	bool usable = hb_field_kind(type, &kind);

	switch (wanted)
	{
		case HB_COLUMN_CATEGORY:
			if (type == TEXTOID || type == VARCHAROID)
				return HB_READ_TEXT;
			return usable && kind == HB_COLUMN_CATEGORY ? HB_READ_LABEL : HB_READ_OUTPUT;
		case HB_COLUMN_FLOAT:
		case HB_COLUMN_DOUBLE:
			/* Dates and times count days or seconds: only the same type has the same unit. */
			if (usable && (type == field->type ||
						   (hb_field_is_number(type) && hb_field_is_number(field->type))))
				return HB_READ_NUMBER;
			break;
		case HB_COLUMN_BYTES:
			if (usable && kind == HB_COLUMN_BYTES)
				return HB_READ_BYTES;
			break;
		case HB_COLUMN_FLOATS:
			if (usable && kind == HB_COLUMN_FLOATS)
				return HB_READ_FLOATS;
			break;
	}
	wrong_type(buffer, j, format_type_be(type));
	return HB_READ_NUMBER;
}

/* Types whose values are their own text; enums count as text in an encoder. */
static bool
is_text_type(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == BPCHAROID || type == NAMEOID;
}

static void
column_init(HbRowBuffer *buffer, HbRowColumn *column, int j, Oid type)
{
	Oid feature_type = buffer->predictor->fields->fields[j].type;
	Oid function;
	bool varlena;

	column->type = getBaseType(type);
	if (type == UNKNOWNOID)
	{
		column->reading = HB_READ_LITERAL_LABEL;
		if (buffer->predictor->levels[j] == NULL || !is_text_type(feature_type))
		{
			column->reading = HB_READ_LITERAL;
			getTypeInputInfo(feature_type, &function, &column->io_parameter);
			fmgr_info(function, &column->function);
		}
		return;
	}
	column->reading = reading_for(buffer, j, column->type);
	if (column->reading == HB_READ_OUTPUT)
	{
		getTypeOutputInfo(column->type, &function, &varlena);
		fmgr_info(function, &column->function);
	}
}

/* ---- matching a row type ---- */

/* Index of the attribute of that name, -1 where there is none. */
static int
attribute_named(TupleDesc descriptor, const char *name)
{
	int found = -1;

	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);

		if (attribute->attisdropped || strcmp(NameStr(attribute->attname), name) != 0)
			continue;
		if (found >= 0)
			ereport(ERROR, (errcode(ERRCODE_AMBIGUOUS_COLUMN),
							errmsg("column \"%s\" of the input is ambiguous", name)));
		found = i;
	}
	return found;
}

static void
features_missing(const HbRowBuffer *buffer, const char *first, const char *all, int count)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_UNDEFINED_COLUMN),
		 errmsg("column \"%s\" of the model is missing from the input", first),
		 count > 1 ? errdetail("Missing are: %s.", all) : 0,
		 errhint("Name the input's columns as the model's features, or give a row of exactly %d "
				 "values in their order.",
				 buffer->predictor->fields->ncolumns)));
}

/* Collects names for a DETAIL that stays readable. */
static void
append_missing(StringInfo all, int count, const char *name)
{
	if (count < 20)
		appendStringInfo(all, "%s\"%s\"", count > 0 ? ", " : "", name);
	else if (count == 20)
		appendStringInfoString(all, ", and more");
}

/* Fills attribute of every column; false where a feature is not found by its name. */
static bool
match_by_name(const HbRowBuffer *buffer, TupleDesc descriptor, HbRowColumn *columns,
			  StringInfo missing, int *nmissing)
{
	*nmissing = 0;
	for (int j = 0; j < buffer->predictor->fields->ncolumns; j++)
	{
		columns[j].attribute = attribute_named(descriptor, feature_name(buffer, j));
		if (columns[j].attribute < 0)
			append_missing(missing, (*nmissing)++, feature_name(buffer, j));
	}
	return *nmissing == 0;
}

static bool
match_by_position(const HbRowBuffer *buffer, TupleDesc descriptor, HbRowColumn *columns)
{
	int n = 0;

	for (int i = 0; i < descriptor->natts; i++)
	{
		if (TupleDescAttr(descriptor, i)->attisdropped)
			continue;
		if (n < buffer->predictor->fields->ncolumns)
			columns[n].attribute = i;
		n++;
	}
	return n == buffer->predictor->fields->ncolumns;
}

/* ROW(...) makes its columns' names itself. */
static bool
is_anonymous(TupleDesc descriptor)
{
	char name[NAMEDATALEN];

	for (int i = 0; i < descriptor->natts; i++)
	{
		snprintf(name, sizeof(name), "f%d", i + 1);
		if (strcmp(NameStr(TupleDescAttr(descriptor, i)->attname), name) != 0)
			return false;
	}
	return descriptor->tdtypeid == RECORDOID;
}

/* By position only where no name says otherwise: a table with a renamed column must not be read in its own order. */
static void
match_columns(const HbRowBuffer *buffer, TupleDesc descriptor, HbRowColumn *columns)
{
	int ncolumns = buffer->predictor->fields->ncolumns;
	StringInfoData missing;
	const char *first = NULL;
	int nmissing;

	initStringInfo(&missing);
	if (match_by_name(buffer, descriptor, columns, &missing, &nmissing))
		return;
	for (int j = ncolumns - 1; j >= 0; j--)
		if (columns[j].attribute < 0)
			first = feature_name(buffer, j);
	if ((nmissing < ncolumns && !is_anonymous(descriptor)) ||
		!match_by_position(buffer, descriptor, columns))
		features_missing(buffer, first, missing.data, nmissing);
}

static HbDirect *
direct_build(const HbRowBuffer *buffer, const HbRowMap *map)
{
	int n = buffer->predictor->fields->ncolumns;
	int *attributes = palloc(sizeof(int) * Max(n, 1));
	Oid *types = palloc(sizeof(Oid) * Max(n, 1));

	for (int j = 0; j < n; j++)
	{
		attributes[j] = map->columns[j].attribute;
		types[j] = map->columns[j].type;
	}
	return hb_direct_build(buffer->predictor->fields, map->descriptor, attributes, types);
}

static HbRowMap *
map_build(HbRowBuffer *buffer, Oid type, int32 typmod, uint64 row_type)
{
	MemoryContext context =
		AllocSetContextCreate(buffer->context, "hyperband row map", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	int n = buffer->predictor->fields->ncolumns;
	HbRowMap *map = palloc0(sizeof(HbRowMap));

	map->context = context;
	map->row_type = row_type;
	map->type = type;
	if (type != RECORDOID)
		map->entry = lookup_type_cache(type, TYPECACHE_TUPDESC);
	map->descriptor = lookup_rowtype_tupdesc_copy(type, typmod);
	map->values = palloc(sizeof(Datum) * Max(map->descriptor->natts, 1));
	map->nulls = palloc(sizeof(bool) * Max(map->descriptor->natts, 1));
	map->columns = palloc0(sizeof(HbRowColumn) * Max(n, 1));
	match_columns(buffer, map->descriptor, map->columns);
	for (int j = 0; j < n; j++)
		column_init(buffer, &map->columns[j], j,
					TupleDescAttr(map->descriptor, map->columns[j].attribute)->atttypid);
	map->direct = direct_build(buffer, map);
	MemoryContextSwitchTo(caller);
	return map;
}

static HbRowMap *
map_for(HbRowBuffer *buffer, HeapTupleHeader tuple)
{
	Oid type = HeapTupleHeaderGetTypeId(tuple);
	int32 typmod = HeapTupleHeaderGetTypMod(tuple);
	uint64 row_type;

	/* The identifier is zeroed when the type changes, and never given out again. */
	if (buffer->map != NULL && buffer->map->entry != NULL && buffer->map->type == type &&
		buffer->map->entry->tupDesc_identifier == buffer->map->row_type)
		return buffer->map;
	row_type = assign_record_type_identifier(type, typmod);
	if (buffer->map != NULL && buffer->map->row_type == row_type)
		return buffer->map;
	if (buffer->map != NULL)
	{
		MemoryContext old = buffer->map->context;

		buffer->map = NULL;
		MemoryContextDelete(old);
	}
	buffer->map = map_build(buffer, type, typmod, row_type);
	return buffer->map;
}

/* ---- reading a row ---- */

static void
read_column(HbRowBuffer *buffer, int j, HbRowColumn *column, Datum value)
{
	struct varlena *packed;
	char *text;

	switch (column->reading)
	{
		case HB_READ_TEXT:
			packed = PG_DETOAST_DATUM_PACKED(value);
			store_label(buffer, j, VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed));
			break;
		case HB_READ_NUMBER:
		case HB_READ_LABEL:
		case HB_READ_BYTES:
		case HB_READ_FLOATS:
			store_value(buffer, j, column->type, value);
			break;
		case HB_READ_OUTPUT:
			text = OutputFunctionCall(&column->function, value);
			store_label(buffer, j, text, strlen(text));
			break;
		case HB_READ_LITERAL:
			value = InputFunctionCall(&column->function, DatumGetCString(value),
									  column->io_parameter, -1);
			store_value(buffer, j, buffer->predictor->fields->fields[j].type, value);
			break;
		case HB_READ_LITERAL_LABEL:
			text = DatumGetCString(value);
			store_label(buffer, j, text, label_length(buffer, j, text, strlen(text)));
			break;
	}
}

/* The general way: every column by its Datum into the record, which the encoder then reads. */
static void
record_from_tuple(HbRowBuffer *buffer, HbRowMap *map, HeapTupleHeader tuple)
{
	const HbFieldEncoder *fields = buffer->predictor->fields;
	HeapTupleData row;

	row.t_len = HeapTupleHeaderGetDatumLength(tuple);
	ItemPointerSetInvalid(&row.t_self);
	row.t_tableOid = InvalidOid;
	row.t_data = tuple;
	heap_deform_tuple(&row, map->descriptor, map->values, map->nulls);
	for (int j = 0; j < fields->ncolumns; j++)
	{
		HbRowColumn *column = &map->columns[j];

		if (map->nulls[column->attribute])
			store_missing(buffer, &fields->columns[j]);
		else
			read_column(buffer, j, column, map->values[column->attribute]);
	}
}

static void
encode(HbRowBuffer *buffer)
{
	hb_encode_row(&buffer->predictor->encoder, buffer->record, buffer->inputs,
				  buffer->predictor->stride);
}

void
hb_row_from_tuple(HbRowBuffer *buffer, HeapTupleHeader tuple)
{
	MemoryContext caller = MemoryContextSwitchTo(buffer->scratch);
	HbRowMap *map = map_for(buffer, tuple);

	if (map->direct == NULL || !hb_direct_read(map->direct, tuple, buffer->inputs))
	{
		record_from_tuple(buffer, map, tuple);
		encode(buffer);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(buffer->scratch);
}

/* ---- reading a JSON object ---- */

static const char *
json_type_name(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return "JSON string";
		case jbvNumeric:
			return "JSON number";
		case jbvBool:
			return "JSON boolean";
		default:
			return value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data)
					   ? "JSON array"
					   : "JSON object";
	}
}

/* The text by which a scalar names a level. */
static void
read_json_label(HbRowBuffer *buffer, int j, const JsonbValue *value)
{
	char *text;
	int length;

	switch (value->type)
	{
		case jbvString:
			length = label_length(buffer, j, value->val.string.val, value->val.string.len);
			store_label(buffer, j, value->val.string.val, length);
			break;
		case jbvBool:
			text = value->val.boolean ? "true" : "false";
			store_label(buffer, j, text, strlen(text));
			break;
		case jbvNumeric:
			text = DatumGetCString(
				DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
			store_label(buffer, j, text, strlen(text));
			break;
		default:
			wrong_type(buffer, j, json_type_name(value));
	}
}

/* A string for a date, a time or bytea, in the form that its type reads. */
static void
read_json_literal(HbRowBuffer *buffer, int j, const JsonbValue *value)
{
	Oid type = buffer->predictor->fields->fields[j].type;
	char *text = pnstrdup(value->val.string.val, value->val.string.len);
	Oid function;
	Oid parameter;

	getTypeInputInfo(type, &function, &parameter);
	store_value(buffer, j, type, OidInputFunctionCall(function, text, parameter, -1));
}

static float
json_element(HbRowBuffer *buffer, int j, const JsonbValue *value)
{
	if (value->type == jbvNull)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("arrays in column \"%s\" contain null elements", feature_name(buffer, j))));
	if (value->type != jbvNumeric)
		wrong_type(buffer, j, "JSON array of other values than numbers");
	return (float) hb_field_number(NUMERICOID, NumericGetDatum(value->val.numeric),
								   feature_name(buffer, j));
}

static void
read_json_array(HbRowBuffer *buffer, int j, JsonbContainer *array)
{
	const HbColumn *column = &buffer->predictor->fields->columns[j];
	unsigned char *field = field_of(buffer, column);
	float *out = (float *) field;
	JsonbIterator *iterator = JsonbIteratorInit(array);
	JsonbIteratorToken token;
	JsonbValue element;

	if (JsonContainerSize(array) != column->length)
		wrong_length(buffer, j, JsonContainerSize(array));
	while ((token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
		if (token == WJB_ELEM)
			*out++ = json_element(buffer, j, &element);
	field[sizeof(float) * column->length] = 0;
}

static void
read_json_value(HbRowBuffer *buffer, int j, const JsonbValue *value)
{
	const HbFieldColumn *field = &buffer->predictor->fields->fields[j];

	if (value->type == jbvNull)
		store_missing(buffer, &buffer->predictor->fields->columns[j]);
	else if (field->column.kind == HB_COLUMN_CATEGORY)
		read_json_label(buffer, j, value);
	else if (field->column.kind == HB_COLUMN_FLOATS && value->type == jbvBinary &&
			 JsonContainerIsArray(value->val.binary.data))
		read_json_array(buffer, j, value->val.binary.data);
	else if (value->type == jbvNumeric && hb_field_is_number(field->type))
		store_value(buffer, j, NUMERICOID, NumericGetDatum(value->val.numeric));
	else if (value->type == jbvString && field->column.kind != HB_COLUMN_FLOATS &&
			 !hb_field_is_number(field->type))
		read_json_literal(buffer, j, value);
	else
		wrong_type(buffer, j, json_type_name(value));
}

/* A key that is absent is an error, since it is more often a misspelling than a missing value. */
static void
json_missing(const HbRowBuffer *buffer, Jsonb *object)
{
	const HbFieldEncoder *fields = buffer->predictor->fields;
	StringInfoData missing;
	const char *first = NULL;
	int count = 0;

	initStringInfo(&missing);
	for (int j = 0; j < fields->ncolumns; j++)
	{
		const char *name = feature_name(buffer, j);

		if (getKeyJsonValueFromContainer(&object->root, name, strlen(name), NULL) != NULL)
			continue;
		if (first == NULL)
			first = name;
		append_missing(&missing, count++, name);
	}
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
					errmsg("column \"%s\" of the model is missing from the input", first),
					count > 1 ? errdetail("Missing are: %s.", missing.data) : 0,
					errhint("Give null for a value that is not known.")));
}

void
hb_row_from_jsonb(HbRowBuffer *buffer, Jsonb *object)
{
	MemoryContext caller = MemoryContextSwitchTo(buffer->scratch);
	const HbFieldEncoder *fields = buffer->predictor->fields;

	if (!JB_ROOT_IS_OBJECT(object))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("input must be a JSON object")));
	for (int j = 0; j < fields->ncolumns; j++)
	{
		const char *name = feature_name(buffer, j);
		JsonbValue value;

		if (getKeyJsonValueFromContainer(&object->root, name, strlen(name), &value) == NULL)
			json_missing(buffer, object);
		read_json_value(buffer, j, &value);
	}
	encode(buffer);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(buffer->scratch);
}

/* ---- buffers ---- */

void
hb_row_buffer_init(HbRowBuffer *buffer, const HbPredictor *predictor)
{
	MemoryContext caller;

	buffer->predictor = NULL;
	buffer->map = NULL;
	MemoryContextReset(buffer->context);
	caller = MemoryContextSwitchTo(buffer->context);
	buffer->scratch =
		AllocSetContextCreate(buffer->context, "hyperband row values", ALLOCSET_DEFAULT_SIZES);
	buffer->record = palloc0(Max(predictor->fields->record_bytes, 1));
	buffer->inputs = palloc0(sizeof(float) * Max(predictor->stride, 1));
	buffer->scores = palloc0(sizeof(float) * predictor->info.outputs);
	MemoryContextSwitchTo(caller);
	buffer->predictor = predictor;
}
