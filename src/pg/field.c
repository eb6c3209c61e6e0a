/*
 * field.c - one column of a relation or of a predicted row: from Datum to a record's field
 *
 * Which types can be features, and what number, label or vector a value of each stands for.
 */
#include "pg/field.h"

#include <float.h>
#include <math.h>

#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "catalog/pg_type.h"
#include "catalog/pg_enum.h"
#include "parser/parse_coerce.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/syscache.h"
#include "utils/uuid.h"

bool
hb_field_is_number(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
			return true;
		default:
			return false;
	}
}

bool
hb_field_kind(Oid type, HbColumnKind *kind)
{
	Oid element;

	switch (type)
	{
		case INT2OID:
		case FLOAT4OID:
		case DATEOID:
			*kind = HB_COLUMN_FLOAT;
			return true;
		case INT4OID:
		case INT8OID:
		case FLOAT8OID:
		case NUMERICOID:
		case TIMEOID:
		case TIMETZOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case INTERVALOID:
			*kind = HB_COLUMN_DOUBLE;
			return true;
		case BOOLOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case NAMEOID:
		case UUIDOID:
			*kind = HB_COLUMN_CATEGORY;
			return true;
		case BYTEAOID:
			*kind = HB_COLUMN_BYTES;
			return true;
		default:
			break;
	}
	element = get_element_type(type);
	if (OidIsValid(element))
	{
		*kind = HB_COLUMN_FLOATS;
		return hb_field_is_number(getBaseType(element));
	}
	*kind = HB_COLUMN_CATEGORY;
	return type_is_enum(type) || IsBinaryCoercible(type, TEXTOID);
}

static void
not_finite(const char *column)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
					errmsg("column \"%s\" contains NaN or infinite values", column)));
}

static void
out_of_range(const char *column)
{
	ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					errmsg("value out of range in column \"%s\"", column)));
}

static double
numeric_number(Datum value, const char *column)
{
	Numeric number = DatumGetNumeric(value);

	if (numeric_is_nan(number) || numeric_is_inf(number))
		not_finite(column);
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(number)));
}

/* Seconds; a month counts as 30 days, as in interval comparison. */
static double
interval_number(Datum value)
{
	Interval *interval = DatumGetIntervalP(value);

	return (double) interval->time / USECS_PER_SEC +
		   ((double) interval->month * DAYS_PER_MONTH + interval->day) * SECS_PER_DAY;
}

static double
timestamp_number(Timestamp value, const char *column)
{
	if (TIMESTAMP_NOT_FINITE(value))
		not_finite(column);
	return (double) value / USECS_PER_SEC;
}

double
hb_field_number(Oid type, Datum value, const char *column)
{
	double number = 0.0;

	switch (type)
	{
		case INT2OID:
			number = DatumGetInt16(value);
			break;
		case INT4OID:
			number = DatumGetInt32(value);
			break;
		case INT8OID:
			number = (double) DatumGetInt64(value);
			break;
		case FLOAT4OID:
			number = DatumGetFloat4(value);
			if (!isfinite(number))
				not_finite(column);
			break;
		case FLOAT8OID:
			number = DatumGetFloat8(value);
			if (!isfinite(number))
				not_finite(column);
			break;
		case NUMERICOID:
			number = numeric_number(value, column);
			break;
		case DATEOID:
			if (DATE_NOT_FINITE(DatumGetDateADT(value)))
				not_finite(column);
			number = DatumGetDateADT(value);
			break;
		case TIMEOID:
			number = (double) DatumGetTimeADT(value) / USECS_PER_SEC;
			break;
		case TIMETZOID:
			number = (double) DatumGetTimeTzADTP(value)->time / USECS_PER_SEC +
					 DatumGetTimeTzADTP(value)->zone;
			break;
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			number = timestamp_number(DatumGetTimestamp(value), column);
			break;
		case INTERVALOID:
			number = interval_number(value);
			break;
		default:
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
							errmsg("column \"%s\" has type %s, which is not a number", column,
								   format_type_be(type))));
	}
	if (fabs(number) > FLT_MAX)
		out_of_range(column);
	return number + 0.0; /* -0 becomes 0 */
}

static const char *
enum_label(Oid value, size_t *length)
{
	HeapTuple tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(value));
	char *label;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("invalid internal value for enum: %u", value)));
	label = pstrdup(NameStr(((Form_pg_enum) GETSTRUCT(tuple))->enumlabel));
	ReleaseSysCache(tuple);
	*length = strlen(label);
	return label;
}

const char *
hb_field_label(Oid type, Datum value, size_t *length)
{
	struct varlena *text;
	const char *label;

	switch (type)
	{
		case BOOLOID:
			label = DatumGetBool(value) ? "true" : "false";
			*length = strlen(label);
			return label;
		case NAMEOID:
			label = NameStr(*DatumGetName(value));
			*length = strlen(label);
			return label;
		case UUIDOID:
			label = DatumGetCString(DirectFunctionCall1(uuid_out, value));
			*length = strlen(label);
			return label;
		default:
			break;
	}
	if (type_is_enum(type))
		return enum_label(DatumGetObjectId(value), length);
	text = PG_DETOAST_DATUM_PACKED(value);
	*length = VARSIZE_ANY_EXHDR(text);
	if (type == BPCHAROID) /* padding is not part of the value */
		*length = bpchartruelen(VARDATA_ANY(text), (int) *length);
	return VARDATA_ANY(text);
}

static void
check_shape(ArrayType *array, const char *column, int expected, int found)
{
	if (ARR_NDIM(array) > 1)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("arrays in column \"%s\" must have one dimension", column),
						errdetail("Found %d dimensions.", ARR_NDIM(array))));
	if (expected > 0 && found != expected)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("arrays in column \"%s\" have different lengths", column),
						errdetail("Expected %d, found %d.", expected, found)));
	if (array_contains_nulls(array))
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("arrays in column \"%s\" contain null elements", column)));
}

/* Copies n floats, -0 becoming 0; whether all of them are finite. */
static bool
copy_floats(float *out, const float *in, int n)
{
	uint32 exponents = 0;

	for (int i = 0; i < n; i++)
	{
		uint32 bits;

		out[i] = in[i] + 0.0f;
		memcpy(&bits, &out[i], sizeof(bits));
		exponents |= (bits & 0x7F800000u) == 0x7F800000u;
	}
	return exponents == 0;
}

static void
copy_elements(ArrayType *array, Oid element, const char *column, int n, float *out)
{
	int16 length;
	bool byval;
	char align;
	const char *data = ARR_DATA_PTR(array);

	get_typlenbyvalalign(element, &length, &byval, &align);
	for (int i = 0; i < n; i++)
	{
		out[i] = (float) hb_field_number(element, fetch_att(data, byval, length), column);
		data = att_addlength_pointer(data, length, data);
		data = (const char *) att_align_nominal(data, align);
	}
}

int
hb_field_floats(Oid type, Datum value, const char *column, int expected, float *out)
{
	ArrayType *array = DatumGetArrayTypeP(value);
	int n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

	check_shape(array, column, expected, n);
	if (out == NULL)
		return n;
	if (ARR_ELEMTYPE(array) == FLOAT4OID)
	{
		if (!copy_floats(out, (const float *) ARR_DATA_PTR(array), n))
			not_finite(column);
	}
	else
		copy_elements(array, getBaseType(ARR_ELEMTYPE(array)), column, n, out);
	return n;
}
