/*
 * statement.c - parameterised statements with saved plans, through SPI
 */
#include "pg/statement.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "core/rng.h"

#include "pg/catalog.h"

#define MAX_PARAMETERS 40

static Oid
parameter_type(char letter)
{
	switch (letter)
	{
		case 'l':
		case 'L':
			return INT8OID;
		case 'i':
		case 'I':
			return INT4OID;
		case 'd':
			return FLOAT8OID;
		case 'b':
			return BOOLOID;
		case 'o':
			return OIDOID;
		case 't':
			return TEXTOID;
		case 'j':
			return JSONBOID;
		case 'y':
			return BYTEAOID;
		case 'v':
			return INTERVALOID;
		case 'a':
			return TEXTARRAYOID;
		case 'A':
			return INT8ARRAYOID;
		case 'D':
			return FLOAT8ARRAYOID;
	}
	elog(ERROR, "unknown parameter letter \"%c\"", letter);
}

static void
prepare(HbStatement *statement)
{
	Oid types[MAX_PARAMETERS];
	int n = (int) strlen(statement->parameters);
	SPIPlanPtr plan;

	Assert(n <= MAX_PARAMETERS);
	for (int i = 0; i < n; i++)
		types[i] = parameter_type(statement->parameters[i]);
	plan = SPI_prepare(statement->sql, n, types);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed");
	statement->plan = plan;
}

static Datum
text_array(char **texts)
{
	int n = 0;
	Datum *elements;

	while (texts[n] != NULL)
		n++;
	elements = palloc(sizeof(Datum) * Max(n, 1));
	for (int i = 0; i < n; i++)
		elements[i] = CStringGetTextDatum(texts[i]);
	return PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
}

static Datum
int64_array(int n, const int64 *values)
{
	Datum *elements = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		elements[i] = Int64GetDatum(values[i]);
	return PointerGetDatum(
		construct_array(elements, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

static Datum
float8_array(int n, const double *values)
{
	Datum *elements = palloc(sizeof(Datum) * Max(n, 1));
	bool *nulls = palloc(sizeof(bool) * Max(n, 1));
	int lower = 1;

	for (int i = 0; i < n; i++)
	{
		elements[i] = Float8GetDatum(values[i]);
		nulls[i] = isnan(values[i]);
	}
	if (n == 0)
		return PointerGetDatum(construct_empty_array(FLOAT8OID));
	return PointerGetDatum(construct_md_array(elements, nulls, 1, &n, &lower, FLOAT8OID,
											  sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* Types passed by pointer; NULL is NULL. */
static Datum
pointer_value(char letter, void *pointer, char *null)
{
	*null = pointer == NULL ? 'n' : ' ';
	if (pointer == NULL)
		return (Datum) 0;
	if (letter == 't')
		return CStringGetTextDatum((const char *) pointer);
	if (letter == 'a')
		return text_array((char **) pointer);
	return PointerGetDatum(pointer);
}

static void
collect(const char *letters, va_list *args, Datum *values, char *nulls)
{
	for (int i = 0; letters[i] != '\0'; i++)
	{
		nulls[i] = ' ';
		switch (letters[i])
		{
			case 'l':
			case 'L':
			{
				int64 value = va_arg(*args, int64);

				values[i] = Int64GetDatum(value);
				if (letters[i] == 'L' && value == 0)
					nulls[i] = 'n';
				break;
			}
			case 'i':
			case 'I':
			{
				int value = va_arg(*args, int);

				values[i] = Int32GetDatum(value);
				if (letters[i] == 'I' && value == 0)
					nulls[i] = 'n';
				break;
			}
			case 'd':
			{
				double value = va_arg(*args, double);

				values[i] = Float8GetDatum(value);
				if (isnan(value))
					nulls[i] = 'n';
				break;
			}
			case 'b':
				values[i] = BoolGetDatum(va_arg(*args, int) != 0);
				break;
			case 'o':
				values[i] = ObjectIdGetDatum(va_arg(*args, Oid));
				break;
			case 'A':
			{
				int n = va_arg(*args, int);

				values[i] = int64_array(n, va_arg(*args, const int64 *));
				break;
			}
			case 'D':
			{
				int n = va_arg(*args, int);

				values[i] = float8_array(n, va_arg(*args, const double *));
				break;
			}
			default:
				values[i] = pointer_value(letters[i], va_arg(*args, void *), &nulls[i]);
		}
	}
}

bool hb_read_as_caller = false;

/*
 * Reads take a fresh snapshot: a transaction in REPEATABLE READ that waits for a study would otherwise
 * never see it end, and a model cache would keep what an old snapshot showed after the
 * invalidation that announced the new.  The catalog snapshot is the kind that may be renewed in parallel mode, too.
 */
static int
execute_read(HbStatement *statement, Datum *values, const char *nulls)
{
	int code;

	if (hb_read_as_caller)
		return SPI_execute_plan(statement->plan, values, nulls, true, 0);
	PushActiveSnapshot(GetCatalogSnapshot(InvalidOid));
	code = SPI_execute_plan(statement->plan, values, nulls, true, 0);
	PopActiveSnapshot();
	return code;
}

uint64
hb_run(HbStatement *statement, ...)
{
	MemoryContext scratch;
	MemoryContext old;
	Datum values[MAX_PARAMETERS];
	char nulls[MAX_PARAMETERS];
	va_list args;
	int code;

	hb_catalog_prepare();
	scratch =
		AllocSetContextCreate(CurTransactionContext, "hyperband statement", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(scratch);
	if (SPI_tuptable != NULL)
		SPI_freetuptable(SPI_tuptable);
	SPI_tuptable = NULL;
	if (statement->plan == NULL)
		prepare(statement);
	va_start(args, statement);
	collect(statement->parameters, &args, values, nulls);
	va_end(args);
	if (statement->reads)
		code = execute_read(statement, values, nulls);
	else
		code = SPI_execute_plan(statement->plan, values, nulls, false, 0);
	if (code < 0)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(code));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
	return SPI_processed;
}

static Datum
value(uint64 row, int column, bool *isnull)
{
	Assert(SPI_tuptable != NULL && row < SPI_tuptable->numvals);
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

bool
hb_row_is_null(uint64 row, int column)
{
	bool isnull;

	(void) value(row, column, &isnull);
	return isnull;
}

int64
hb_row_int64(uint64 row, int column)
{
	bool isnull;
	Datum datum = value(row, column, &isnull);

	if (isnull)
		return 0;
	if (SPI_gettypeid(SPI_tuptable->tupdesc, column) == INT4OID)
		return DatumGetInt32(datum);
	return DatumGetInt64(datum);
}

double
hb_row_float8(uint64 row, int column)
{
	bool isnull;
	Datum datum = value(row, column, &isnull);

	return isnull ? NAN : DatumGetFloat8(datum);
}

bool
hb_row_bool(uint64 row, int column)
{
	bool isnull;
	Datum datum = value(row, column, &isnull);

	return !isnull && DatumGetBool(datum);
}

Oid
hb_row_oid(uint64 row, int column)
{
	bool isnull;
	Datum datum = value(row, column, &isnull);

	return isnull ? InvalidOid : DatumGetObjectId(datum);
}

TimestampTz
hb_row_time(uint64 row, int column)
{
	bool isnull;
	Datum datum = value(row, column, &isnull);

	return isnull ? 0 : DatumGetTimestampTz(datum);
}

char *
hb_row_text(uint64 row, int column)
{
	bool isnull;
	Datum datum = value(row, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(datum);
}

char **
hb_row_texts(uint64 row, int column)
{
	bool isnull;
	Datum datum = value(row, column, &isnull);
	Datum *elements;
	bool *nulls;
	int n;
	char **texts;

	if (isnull)
		return NULL;
	deconstruct_array(DatumGetArrayTypeP(datum), TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  &nulls, &n);
	texts = palloc0(sizeof(char *) * (n + 1));
	for (int i = 0; i < n; i++)
		texts[i] = nulls[i] ? pstrdup("") : TextDatumGetCString(elements[i]);
	pfree(elements);
	pfree(nulls);
	return texts;
}

Jsonb *
hb_row_jsonb(uint64 row, int column)
{
	bool isnull;
	Datum datum = value(row, column, &isnull);

	return isnull ? NULL : DatumGetJsonbPCopy(datum);
}

bytea *
hb_row_bytea(uint64 row, int column)
{
	bool isnull;
	Datum datum = value(row, column, &isnull);

	return isnull ? NULL : DatumGetByteaPCopy(datum);
}

Interval *
hb_row_interval(uint64 row, int column)
{
	bool isnull;
	Datum datum = value(row, column, &isnull);
	Interval *copy;

	if (isnull)
		return NULL;
	copy = palloc(sizeof(Interval));
	*copy = *DatumGetIntervalP(datum);
	return copy;
}

bytea *
hb_bytea(const void *bytes, size_t length)
{
	bytea *data = palloc(VARHDRSZ + length);

	SET_VARSIZE(data, VARHDRSZ + length);
	memcpy(VARDATA(data), bytes, length);
	return data;
}

static void
corrupted(const char *what, const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("%s is corrupted", what),
					errdetail_internal("%s", detail)));
}

/* Chunks are fetched from TOAST one at a time. */
void *
hb_join_chunks(uint64 n, size_t total, int crc_column, int data_column, const char *what)
{
	size_t offset = 0;
	char *joined;

	/* The number comes from a row, which a restore could have made up: allocate no more than the chunks could hold. */
	if (total == 0 || total > n * HB_CHUNK_BYTES)
		corrupted(what, "Its length does not agree with its pieces.");
	joined = MemoryContextAllocHuge(CurrentMemoryContext, total);
	for (uint64 i = 0; i < n; i++)
	{
		bytea *data = hb_row_bytea(i, data_column);
		size_t length = data ? VARSIZE(data) - VARHDRSZ : 0;

		if (length > total - offset)
			corrupted(what, "Its pieces are longer than its length.");
		if (crc_column > 0 && length > 0 &&
			(uint64) hb_row_int64(i, crc_column) != hb_hash64(VARDATA(data), length, 0))
			corrupted(what, "Its checksum does not match.");
		memcpy(joined + offset, data ? VARDATA(data) : "", length);
		offset += length;
		if (data)
			pfree(data);
	}
	if (offset != total)
		corrupted(what, "Its pieces are shorter than its length.");
	return joined;
}
