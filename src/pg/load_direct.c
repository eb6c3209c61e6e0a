/*
 * load_direct.c - rows of fixed-width numbers, read where they lie in the table's pages
 *
 * Where the executor passes on a table's own tuples, and every feature is a number at a fixed place in them, a row
 * goes from page to tokens and record in loops over runs of columns of one type, without an array of Datums.
 * Results are those of load_read.c's general way, bit for bit; a row with NULLs, or with a value that is an error,
 * is left to it.
 */
#include "pg/load_internal.h"

#include <float.h>
#include <math.h>

#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "executor/tuptable.h"

/* Neighbouring features of one type, neighbours in tuple and record, too. */
typedef struct HbLoadRun
{
	HbLoadOp op;
	int count;
	int first;     /* of the dense numbers */
	int offset;    /* from the start of the tuple's data */
	uint32 record; /* offset in the record */
} HbLoadRun;

struct HbLoadDirect
{
	TupleDesc descriptor; /* that this was made for */
	bool usable;
	bool (*read)(const HbLoadDirect *direct, const char *data, char *record);
	int attributes; /* that a tuple must have */
	int nruns;
	HbLoadRun *runs;
	double *dense;     /* the row's numbers, by attribute */
	uint32 *by_name;   /* token k is dense[by_name[k]] */
	int target_offset; /* where the column before it ends, if of variable length */
	int16 target_length;
	bool target_byval;
	char target_align;
	HbAhead ahead;
};

/* ---- which tuples ---- */

static int
width_of(HbLoadOp op)
{
	switch (op)
	{
		case HB_OP_INT2:
			return 2;
		case HB_OP_INT4:
		case HB_OP_FLOAT4:
			return 4;
		case HB_OP_INT8:
		case HB_OP_FLOAT8:
			return 8;
		default:
			return 0;
	}
}

static const HbLoadColumn *
column_at(const HbLoad *load, int place)
{
	for (int i = 0; i < load->ncolumns; i++)
		if (load->columns[i].place == place)
			return &load->columns[i];
	return NULL;
}

static void
add_column(HbLoadDirect *direct, const HbLoadColumn *column, int index, int offset)
{
	int width = width_of(column->op), kept = column->single ? sizeof(float) : sizeof(double);
	HbLoadRun *last = direct->nruns > 0 ? &direct->runs[direct->nruns - 1] : NULL;

	if (last != NULL && last->op == column->op && last->offset + last->count * width == offset &&
		last->record + last->count * kept == column->offset)
		last->count++;
	else
		direct->runs[direct->nruns++] = (HbLoadRun){.op = column->op,
													.count = 1,
													.first = index,
													.offset = offset,
													.record = column->offset};
	direct->by_name[(column->token - sizeof(uint64)) / sizeof(double)] = index;
}

static void
note_target(HbLoadDirect *direct, Form_pg_attribute attribute, int offset)
{
	direct->target_offset = offset;
	direct->target_length = attribute->attlen;
	direct->target_byval = attribute->attbyval;
	direct->target_align = attribute->attalign;
}

/* Whether all features are numbers at fixed places; a target of variable length may follow them. */
static bool
lay_out(const HbLoad *load, HbLoadDirect *direct, TupleDesc descriptor)
{
	int offset = 0, features = 0;

	/* tokens of anything else are longer, and their places are no column numbers */
	if (load->token_bytes != sizeof(uint64) * (load->ncolumns + 1))
		return false;
	for (int i = 0; i <= load->ncolumns; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
		bool target = i == load->target.place;
		const HbLoadColumn *column = target ? &load->target : column_at(load, i);

		if (column == NULL || attribute->attisdropped ||
			attribute->atttypid != column->field->declared)
			return false;
		if (target && attribute->attlen < 0)
		{
			note_target(direct, attribute, offset);
			return features == load->ncolumns;
		}
		offset = att_align_nominal(offset, attribute->attalign);
		if (target)
			note_target(direct, attribute, offset);
		else if (width_of(column->op) != attribute->attlen)
			return false;
		else
			add_column(direct, column, features++, offset);
		offset += attribute->attlen;
	}
	return true;
}

static bool read_plain(const HbLoadDirect *direct, const char *data, char *record);
#if defined(__x86_64__)
static bool read_avx2(const HbLoadDirect *direct, const char *data, char *record);
#endif

static HbLoadDirect *
direct_build(HbLoad *load, TupleDesc descriptor)
{
	MemoryContext before = MemoryContextSwitchTo(load->context);
	HbLoadDirect *direct = palloc0(sizeof(HbLoadDirect));

	direct->descriptor = descriptor;
	direct->attributes = load->ncolumns + 1;
	direct->runs = palloc(sizeof(HbLoadRun) * load->ncolumns);
	direct->dense = palloc(sizeof(double) * load->ncolumns);
	direct->by_name = palloc(sizeof(uint32) * load->ncolumns);
	direct->read = read_plain;
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2"))
		direct->read = read_avx2;
#endif
	direct->usable = descriptor->natts == load->ncolumns + 1 && lay_out(load, direct, descriptor);
	MemoryContextSwitchTo(before);
	return direct;
}

/* ---- reading a tuple ---- */

/*
 * One run of columns of C type ctype, kept as type kept; how many values are not finite or too large for a float.  Three plain
 * loops rather than one: each then has one width of element, and is turned into vectors.
 */
#define DEFINE_READ(name, ctype, kept)                                                             \
	static pg_attribute_always_inline int64 name(const char *restrict data, int n,                 \
												 double *restrict dense, char *restrict record)    \
	{                                                                                              \
		int64 wrong = 0;                                                                           \
                                                                                                   \
		for (int i = 0; i < n; i++)                                                                \
		{                                                                                          \
			ctype raw;                                                                             \
                                                                                                   \
			memcpy(&raw, data + i * sizeof(ctype), sizeof(ctype));                                 \
			dense[i] = (double) raw + 0.0; /* -0 becomes 0 */                                      \
		}                                                                                          \
		for (int i = 0; i < n; i++)                                                                \
			wrong += !(fabs(dense[i]) <= FLT_MAX);                                                 \
		for (int i = 0; i < n; i++)                                                                \
		{                                                                                          \
			kept stored = (kept) dense[i];                                                         \
                                                                                                   \
			memcpy(record + i * sizeof(kept), &stored, sizeof(kept));                              \
		}                                                                                          \
		return wrong;                                                                              \
	}

DEFINE_READ(read_int2, int16, float)
DEFINE_READ(read_int4, int32, double)
DEFINE_READ(read_int8, int64, double)
DEFINE_READ(read_float4, float, float)
DEFINE_READ(read_float8, double, double)

static pg_attribute_always_inline int64
read_run(const HbLoadRun *run, const char *data, double *dense, char *record)
{
	data += run->offset;
	dense += run->first;
	record += run->record;
	switch (run->op)
	{
		case HB_OP_INT2:
			return read_int2(data, run->count, dense, record);
		case HB_OP_INT4:
			return read_int4(data, run->count, dense, record);
		case HB_OP_INT8:
			return read_int8(data, run->count, dense, record);
		case HB_OP_FLOAT4:
			return read_float4(data, run->count, dense, record);
		default:
			return read_float8(data, run->count, dense, record);
	}
}

/* Every run of a row. */
static pg_attribute_always_inline bool
read_runs(const HbLoadDirect *direct, const char *data, char *record)
{
	int64 wrong = 0;

	for (int r = 0; r < direct->nruns; r++)
		wrong += read_run(&direct->runs[r], data, direct->dense, record);
	return wrong == 0;
}

static bool
read_plain(const HbLoadDirect *direct, const char *data, char *record)
{
	return read_runs(direct, data, record);
}

#if defined(__x86_64__)
/* The same conversions in vectors of four. */
__attribute__((target("avx2"))) static bool
read_avx2(const HbLoadDirect *direct, const char *data, char *record)
{
	return read_runs(direct, data, record);
}
#endif

static inline Datum
read_target(const HbLoadDirect *direct, const char *data)
{
	uint32 offset = direct->target_offset;

	if (direct->target_length < 0)
		offset =
			att_align_pointer(offset, direct->target_align, direct->target_length, data + offset);
	return fetch_att(data + offset, direct->target_byval, direct->target_length);
}

/* In order of name. */
static inline void
copy_tokens(const HbLoadDirect *direct, int n, char *restrict tokens)
{
	const uint32 *restrict by_name = direct->by_name;
	const double *restrict dense = direct->dense;

	for (int k = 0; k < n; k++)
		memcpy(tokens + k * sizeof(double), &dense[by_name[k]], sizeof(double));
}

bool
hb_load_direct(HbLoad *load, TupleTableSlot *slot, char *record, Datum *target)
{
	HbLoadDirect *direct = load->direct;
	HeapTuple tuple;
	const char *data;

	if (!TTS_IS_BUFFERTUPLE(slot) && !TTS_IS_HEAPTUPLE(slot))
		return false;
	if (unlikely(direct == NULL || direct->descriptor != slot->tts_tupleDescriptor))
		direct = load->direct = direct_build(load, slot->tts_tupleDescriptor);
	tuple = ((HeapTupleTableSlot *) slot)->tuple;
	if (!direct->usable || tuple == NULL || HeapTupleHasNulls(tuple) ||
		HeapTupleHeaderGetNatts(tuple->t_data) < direct->attributes)
		return false;
	data = (const char *) tuple->t_data + tuple->t_data->t_hoff;
	hb_read_ahead(&direct->ahead, data, tuple->t_len);
	if (!direct->read(direct, data, record))
		return false;
	copy_tokens(direct, load->ncolumns, load->tokens + sizeof(uint64));
	*target = read_target(direct, data);
	return true;
}
