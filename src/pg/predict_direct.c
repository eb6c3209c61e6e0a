/*
 * predict_direct.c - rows of plain numbers straight to model inputs
 *
 * Where every feature is a number that lies at a fixed place in the row (no NULL, nothing of variable length before
 * it), its value is read, standardised and cut in one pass over runs of columns of one type: no array of
 * Datums, no record.  The arithmetic is that of hb_field_number() and hb_encode_row(), bit for bit.  Any
 * other row, and any value that is an error, goes the general way (predict_row.c).
 */
#include "pg.h"

#include <float.h>
#include <math.h>

#include "access/tupmacs.h"
#include "catalog/pg_type.h"

#include "predict.h"

/* Neighbouring features of one type in neighbouring attributes. */
typedef struct HbDirectRun
{
	Oid type;
	int count;
	int first;   /* feature */
	int offset;  /* bytes from the start of the row's data */
	bool narrow; /* through float: the feature is kept as one */
} HbDirectRun;

struct HbDirect
{
	int attributes; /* that a row must have */
	int nfeatures;
	int nruns;
	bool dense; /* feature j is input j, without indicators */
	HbDirectRun *runs;
	double *mean; /* by feature */
	double *scale;
	float *limit;
	float *z;
	const HbColumn *columns;
};

/* ---- which row types ---- */

static int
width_of(Oid type)
{
	switch (type)
	{
		case INT2OID:
			return 2;
		case INT4OID:
		case FLOAT4OID:
			return 4;
		case INT8OID:
		case FLOAT8OID:
			return 8;
		default:
			return 0;
	}
}

/* Offset of an attribute in rows without NULLs; -1 where it depends on the row. */
static int
offset_of(TupleDesc descriptor, int attribute)
{
	int offset = 0;

	for (int i = 0; i <= attribute; i++)
	{
		Form_pg_attribute column = TupleDescAttr(descriptor, i);

		if (column->attisdropped || column->attlen <= 0)
			return -1;
		offset = att_align_nominal(offset, column->attalign);
		if (i < attribute)
			offset += column->attlen;
	}
	return offset;
}

static void
add_feature(HbDirect *direct, int j, Oid type, int offset)
{
	const HbColumn *column = &direct->columns[j];
	bool narrow = column->kind == HB_COLUMN_FLOAT && type != FLOAT4OID && type != INT2OID;
	HbDirectRun *last = direct->nruns > 0 ? &direct->runs[direct->nruns - 1] : NULL;

	direct->mean[j] = column->mean;
	direct->scale[j] = column->scale;
	direct->limit[j] = column->clip > 0 ? column->clip : INFINITY;
	if (column->input_offset != (uint32) j || column->indicator)
		direct->dense = false;
	if (last != NULL && last->type == type && last->narrow == narrow &&
		last->offset + last->count * width_of(type) == offset)
		last->count++;
	else
		direct->runs[direct->nruns++] =
			(HbDirectRun){.type = type, .count = 1, .first = j, .offset = offset, .narrow = narrow};
}

HbDirect *
hb_direct_build(const HbFieldEncoder *fields, TupleDesc descriptor, const int *attributes,
				const Oid *types)
{
	int n = fields->ncolumns;
	HbDirect *direct = palloc0(sizeof(HbDirect));

	direct->nfeatures = n;
	direct->columns = fields->columns;
	direct->dense = true;
	direct->runs = palloc(sizeof(HbDirectRun) * Max(n, 1));
	direct->mean = palloc(sizeof(double) * Max(n, 1));
	direct->scale = palloc(sizeof(double) * Max(n, 1));
	direct->limit = palloc(sizeof(float) * Max(n, 1));
	direct->z = palloc(sizeof(float) * Max(n, 1));
	for (int j = 0; j < n; j++)
	{
		int kind = fields->columns[j].kind;
		int offset = offset_of(descriptor, attributes[j]);

		if ((kind != HB_COLUMN_FLOAT && kind != HB_COLUMN_DOUBLE) || width_of(types[j]) == 0 ||
			offset < 0)
			return NULL;
		direct->attributes = Max(direct->attributes, attributes[j] + 1);
		add_feature(direct, j, types[j], offset);
	}
	return direct;
}

/* ---- reading a row ---- */

/*
 * One run of columns of C type ctype; false where a value is not finite or too large for a float.  Cuts and compares as
 * hb_encode_row() does.
 */
#define DEFINE_READ(name, ctype, through)                                                          \
	static bool name(const char *data, int n, const double *restrict mean,                         \
					 const double *restrict scale, const float *restrict limit,                    \
					 float *restrict out)                                                          \
	{                                                                                              \
		int wrong = 0;                                                                             \
                                                                                                   \
		for (int i = 0; i < n; i++)                                                                \
		{                                                                                          \
			ctype raw;                                                                             \
			double value;                                                                          \
			float z;                                                                               \
                                                                                                   \
			memcpy(&raw, data + i * sizeof(ctype), sizeof(ctype));                                 \
			value = (double) raw + 0.0;                                                            \
			wrong |= !(fabs(value) <= FLT_MAX);                                                    \
			z = (float) (((double) (through) value - mean[i]) * scale[i]);                         \
			z = z > limit[i] ? limit[i] : z;                                                       \
			z = z < -limit[i] ? -limit[i] : z;                                                     \
			out[i] = z == z ? z : 0.0f;                                                            \
		}                                                                                          \
		return !wrong;                                                                             \
	}

DEFINE_READ(read_int2, int16, double)
DEFINE_READ(read_int4, int32, double)
DEFINE_READ(read_int4_narrow, int32, float)
DEFINE_READ(read_int8, int64, double)
DEFINE_READ(read_int8_narrow, int64, float)
DEFINE_READ(read_float4, float, double)
DEFINE_READ(read_float8, double, double)
DEFINE_READ(read_float8_narrow, double, float)

static bool
read_run(const HbDirect *direct, const HbDirectRun *run, const char *data, float *z)
{
	const double *mean = direct->mean + run->first;
	const double *scale = direct->scale + run->first;
	const float *limit = direct->limit + run->first;

	data += run->offset;
	z += run->first;
	switch (run->type)
	{
		case INT2OID:
			return read_int2(data, run->count, mean, scale, limit, z);
		case INT4OID:
			return (run->narrow ? read_int4_narrow : read_int4)(data, run->count, mean, scale,
																limit, z);
		case INT8OID:
			return (run->narrow ? read_int8_narrow : read_int8)(data, run->count, mean, scale,
																limit, z);
		case FLOAT4OID:
			return read_float4(data, run->count, mean, scale, limit, z);
		default:
			return (run->narrow ? read_float8_narrow : read_float8)(data, run->count, mean, scale,
																	limit, z);
	}
}

bool
hb_direct_read(const HbDirect *direct, HeapTupleHeader tuple, float *inputs)
{
	const char *data = (const char *) tuple + tuple->t_hoff;
	float *z = direct->dense ? inputs : direct->z;

	if ((tuple->t_infomask & HEAP_HASNULL) != 0 ||
		HeapTupleHeaderGetNatts(tuple) < direct->attributes)
		return false;
	for (int r = 0; r < direct->nruns; r++)
		if (!read_run(direct, &direct->runs[r], data, z))
			return false;
	if (direct->dense)
		return true;
	for (int j = 0; j < direct->nfeatures; j++)
	{
		const HbColumn *column = &direct->columns[j];

		inputs[column->input_offset] = z[j];
		if (column->indicator)
			inputs[column->input_offset + 1] = 0.0f;
	}
	return true;
}
