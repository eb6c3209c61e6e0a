/*
 * load_read.c - one query over the needed columns, each row turned into a record as it arrives
 *
 * The query runs through the executor with a receiver of its own: permissions, row security, views, partitions
 * and foreign tables behave as in any query, and no row is copied on the way.
 *
 * A row's digest is XXH3-128 over the split seed and one token a column, in order of column name: the
 * float8 bits of a number (integers and numerics hash as equal numbers, -0 as 0), the XXH3-128 of the bytes
 * of a text, bytea or float32 array, fixed patterns for NULL.  The target is not part of it.
 */
#include "pg/load_internal.h"

#include <float.h>
#include <math.h>

#include "access/detoast.h"
#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define NULL_NUMBER UINT64CONST(0x7FF8000000000001) /* a NaN, which no value is */
#define NULL_DIGEST ((HbHash128){UINT64_MAX, UINT64_MAX})

void
hb_load_note(HbLoad *load, const char *format, ...)
{
	MemoryContext before = MemoryContextSwitchTo(load->context);
	StringInfoData text;
	int needed;

	initStringInfo(&text);
	for (;;)
	{
		va_list args;

		va_start(args, format);
		needed = appendStringInfoVA(&text, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&text, needed);
	}
	load->notices = lappend(load->notices, text.data);
	MemoryContextSwitchTo(before);
}

static char *
format_size(double bytes)
{
	static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
	int unit = 0;

	while (bytes >= 1024.0 && unit < lengthof(units) - 1)
	{
		bytes /= 1024.0;
		unit++;
	}
	if (fabs(bytes - rint(bytes)) < 0.05)
		return psprintf("%.0f %s", bytes, units[unit]);
	return psprintf("%.1f %s", bytes, units[unit]);
}

void
hb_read_check_memory(HbLoad *load, uint64 rows)
{
	double bytes = (double) rows * load->row_cost + load->dictionary_bytes;
	double expected = load->estimated_rows;

	if (bytes <= (double) load->request->max_bytes)
		return;
	if (load->request->max_rows > 0)
		expected = Min(expected, (double) load->request->max_rows);
	bytes = Max(bytes, expected * load->row_cost + load->dictionary_bytes);
	ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					errmsg("training data needs %s, more than hyperband.max_data_memory (%s)",
						   format_size(bytes), format_size((double) load->request->max_bytes)),
					errhint("Raise the limit or set options {\"max_rows\": n}.")));
}

static void
grow_rows(HbLoad *load)
{
	Size capacity = load->capacity * 2;

	if (load->nrows >= UINT32_MAX - 1)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many rows"),
						errhint("Set options {\"max_rows\": n}.")));
	load->rows = hb_pages_grow(load->rows, capacity * sizeof(HbKeptRow));
	load->tails = hb_pages_grow(load->tails, capacity * sizeof(uint32));
	if (load->moment_bytes > 0)
		load->moments = hb_pages_grow(load->moments, capacity * load->moment_bytes);
	load->capacity = capacity;
}

void
hb_read_keep(HbLoad *load, const HbRowMeta *meta, const char *moments)
{
	HbPart part;

	if (unlikely(load->nrows == load->capacity))
		grow_rows(load);
	part = hb_load_part(load, meta->hash);
	load->rows[load->nrows] = (HbKeptRow){meta->hash.high, meta->target};
	load->tails[load->nrows] =
		(uint32) (meta->hash.low >> (32 + HB_PART_BITS) << HB_PART_BITS) | (uint32) part;
	load->count[part]++;
	if (load->moment_bytes > 0)
		memcpy(load->moments + load->nrows * load->moment_bytes, moments, load->moment_bytes);
	load->nrows++;
	hb_file_push(&load->file, load->record_bytes);
	if ((load->nrows & 1023) == 0)
		hb_read_check_memory(load, load->nrows);
}

/* The number of a label, which joins the column's levels if it is new. */
static uint32
add_level(HbLoad *load, HbLoadColumn *column, const char *label, size_t length, HbHash128 hash)
{
	HbDict *dict = column->dict;
	uint32 before = dict->nlevels;
	Size bytes = dict->bytes;
	uint32 level = hb_dict_add(dict, label, length, hash);

	if (likely(dict->nlevels == before))
		return level;
	load->dictionary_bytes += dict->bytes - bytes;
	hb_read_check_memory(load, load->nrows);
	if (column == &load->target && dict->nlevels > HB_MAX_CLASSES)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("label column \"%s\" has more than %d classes", column->field->name,
							   HB_MAX_CLASSES)));
	if (column != &load->target && load->request->strict &&
		dict->nlevels > (uint32) load->request->max_categories)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("column \"%s\" has more than %d distinct values",
							   column->field->name, load->request->max_categories),
						errhint("Raise hyperband.max_categories or drop the column.")));
	return level;
}

static inline bool
is_toasted(const struct varlena *value)
{
	return VARATT_IS_EXTENDED(value) && !VARATT_IS_SHORT(value);
}

static uint32
enum_level(HbLoad *load, HbLoadColumn *column, Oid value)
{
	int place = value % HB_ENUM_CACHE;

	if (column->enums[place].value != value)
	{
		size_t length;
		const char *label = hb_field_label(column->field->type, ObjectIdGetDatum(value), &length);

		column->enums[place].level =
			add_level(load, column, label, length, hb_hash128(label, length));
		column->enums[place].value = value;
		load->row_dirty = true;
	}
	return column->enums[place].level;
}

/* Level of a text-like, boolean or enum value; its digest is that of the label. */
static inline uint32
label_level(HbLoad *load, HbLoadColumn *column, Datum value)
{
	const char *label;
	size_t length;

	switch (column->op)
	{
		case HB_OP_BOOL:
			return DatumGetBool(value) ? 1 : 0;
		case HB_OP_ENUM:
			return enum_level(load, column, DatumGetObjectId(value));
		case HB_OP_TEXT:
		{
			struct varlena *text = (struct varlena *) DatumGetPointer(value);

			if (unlikely(is_toasted(text)))
			{
				text = PG_DETOAST_DATUM_PACKED(value);
				load->row_dirty = true;
			}
			label = VARDATA_ANY(text);
			length = VARSIZE_ANY_EXHDR(text);
			break;
		}
		default:
			label = hb_field_label(column->field->type, value, &length);
			load->row_dirty = true;
			break;
	}
	return add_level(load, column, label, length, hb_hash128(label, length));
}

static inline void
put_digest(HbLoad *load, const HbLoadColumn *column, HbHash128 digest)
{
	memcpy(load->tokens + column->token, &digest, sizeof(digest));
}

static inline void
put_number(HbLoad *load, const HbLoadColumn *column, char *record, double number)
{
	number += 0.0; /* -0 becomes 0 */
	memcpy(load->tokens + column->token, &number, sizeof(number));
	if (column->single)
	{
		float single = (float) number;

		memcpy(record + column->offset, &single, sizeof(single));
	}
	else
		memcpy(record + column->offset, &number, sizeof(number));
}

/*
 * A scan's next page usually lies as far behind this one as this one behind the last, and its rows where this
 * one's are: asking for them a page ahead halves the cost of reading rows that are not in the cache.  A wrong guess
 * costs little.
 */
void
hb_read_ahead(HbAhead *ahead, const char *data, int length)
{
	size_t place = data - BufferBlocks;
	const char *page;

	if (place >= (size_t) NBuffers * BLCKSZ || length > BLCKSZ)
		return;
	page = BufferBlocks + place / BLCKSZ * BLCKSZ;
	if (page != ahead->page)
	{
		ahead->distance = ahead->page == NULL ? BLCKSZ : page - ahead->page;
		ahead->page = page;
		__builtin_prefetch(page + ahead->distance);
		__builtin_prefetch(page + ahead->distance + 64);
	}
	data += ahead->distance;
	for (int i = -64; i < length; i += 64) /* the tuple's header comes first */
		__builtin_prefetch(data + i, 0, 2);
}

static void
put_bytes(HbLoad *load, HbLoadColumn *column, char *record, char *moments, Datum value)
{
	struct varlena *bytes = (struct varlena *) DatumGetPointer(value);
	char *out = record + column->offset;
	uint32 sum, squares;
	HbMoments of_row;

	if (is_toasted(bytes))
	{
		bytes = PG_DETOAST_DATUM_PACKED(value);
		load->row_dirty = true;
	}
	if (VARSIZE_ANY_EXHDR(bytes) != column->length)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("values in column \"%s\" have different lengths", column->field->name),
				 errdetail("Expected %d bytes, found %d.", column->length,
						   (int) VARSIZE_ANY_EXHDR(bytes))));
	hb_read_ahead(&column->ahead, VARDATA_ANY(bytes), column->length);
	hb_copy_bytes((uint8 *) out, (const uint8 *) VARDATA_ANY(bytes), column->length, &sum,
				  &squares);
	out[column->length] = 0;
	put_digest(load, column, hb_hash128(out, column->length));
	of_row.mean = sum;
	of_row.squares = squares;
	memcpy(moments + column->moments, &of_row, sizeof(of_row));
}

static void
put_floats(HbLoad *load, HbLoadColumn *column, char *record, char *moments, Datum value)
{
	float *out = (float *) (record + column->offset);
	HbMoments of_row;

	if (!is_toasted((struct varlena *) DatumGetPointer(value)))
		hb_read_ahead(&column->ahead, DatumGetPointer(value), column->length * sizeof(float));
	hb_field_floats(column->field->type, value, column->field->name, column->length, out);
	load->row_dirty = true;
	record[column->offset + column->length * sizeof(float)] = 0;
	put_digest(load, column, hb_hash128(out, column->length * sizeof(float)));
	of_row = hb_float_moments(out, column->length);
	memcpy(moments + column->moments, &of_row, sizeof(of_row));
}

static void
put_null(HbLoad *load, const HbLoadColumn *column, char *record, char *moments)
{
	char *out = record + column->offset;
	uint64 token = NULL_NUMBER;
	uint32 level = HB_NULL_LEVEL;
	size_t payload = column->length;

	switch (column->op)
	{
		case HB_OP_BYTES:
		case HB_OP_FLOATS:
		{
			HbMoments missing = {NAN, NAN};

			payload *= column->op == HB_OP_FLOATS ? sizeof(float) : 1;
			memset(out, 0, payload);
			out[payload] = 1;
			memcpy(moments + column->moments, &missing, sizeof(missing));
			put_digest(load, column, NULL_DIGEST);
			break;
		}
		case HB_OP_BOOL:
		case HB_OP_TEXT:
		case HB_OP_ENUM:
		case HB_OP_LABEL:
			memcpy(out, &level, sizeof(level));
			put_digest(load, column, NULL_DIGEST);
			break;
		default:
			put_number(load, column, record, NAN);
			memcpy(load->tokens + column->token, &token, sizeof(token));
			break;
	}
}

static inline void
put_value(HbLoad *load, HbLoadColumn *column, char *record, char *moments, Datum value)
{
	double number;
	uint32 level;

	switch (column->op)
	{
		case HB_OP_INT2:
			put_number(load, column, record, DatumGetInt16(value));
			break;
		case HB_OP_INT4:
			put_number(load, column, record, DatumGetInt32(value));
			break;
		case HB_OP_INT8:
			put_number(load, column, record, (double) DatumGetInt64(value));
			break;
		case HB_OP_FLOAT4:
			number = DatumGetFloat4(value);
			if (unlikely(!(fabs(number) <= FLT_MAX)))
				number = hb_field_number(FLOAT4OID, value, column->field->name);
			put_number(load, column, record, number);
			break;
		case HB_OP_FLOAT8:
			number = DatumGetFloat8(value);
			if (unlikely(!(fabs(number) <= FLT_MAX)))
				number = hb_field_number(FLOAT8OID, value, column->field->name);
			put_number(load, column, record, number);
			break;
		case HB_OP_NUMBER:
			put_number(load, column, record,
					   hb_field_number(column->field->type, value, column->field->name));
			load->row_dirty = true;
			break;
		case HB_OP_BYTES:
			put_bytes(load, column, record, moments, value);
			break;
		case HB_OP_FLOATS:
			put_floats(load, column, record, moments, value);
			break;
		default:
			level = label_level(load, column, value);
			memcpy(record + column->offset, &level, sizeof(level));
			put_digest(load, column, column->dict->levels[level].hash);
			break;
	}
}

/* The target's value, and its part of the digest over the whole row. */
static inline HbHash128
read_target(HbLoad *load, Datum value, HbTargetValue *target)
{
	HbLoadColumn *column = &load->target;
	HbHash128 token = {0, 0};

	switch (load->plan->target_kind)
	{
		case HB_TARGET_LABEL:
			target->level = label_level(load, column, value);
			return column->dict->levels[target->level].hash;
		case HB_TARGET_INTEGER:
			target->integer = column->op == HB_OP_INT2   ? DatumGetInt16(value)
							  : column->op == HB_OP_INT4 ? DatumGetInt32(value)
														 : DatumGetInt64(value);
			hb_integers_add(load->integers, target->integer);
			token.low = (uint64) target->integer;
			break;
		case HB_TARGET_NUMBER:
			target->number = hb_field_number(column->field->type, value, column->field->name);
			load->row_dirty = true;
			memcpy(&token.low, &target->number, sizeof(token.low));
			break;
	}
	return token;
}

static inline char *
record_of_row(HbLoad *load)
{
	return load->sample != NULL ? load->scratch : hb_file_next(&load->file);
}

/* Once record and tokens are there: the row's digests, and what becomes of it. */
static inline void
take_row(HbLoad *load, Datum target_value, const char *record, const char *moments)
{
	HbHash128 target, whole;
	HbRowMeta meta;

	memset(&meta.target, 0, sizeof(meta.target));
	target = read_target(load, target_value, &meta.target);
	meta.hash = hb_hash128(load->tokens, load->token_bytes);
	whole = hb_hash128_extend(meta.hash, target);
	hb_hash128_add(&load->digest, whole);
	load->read++;
	if (load->sample != NULL)
		hb_sample_row(load, whole, &meta, record, moments);
	else
		hb_read_keep(load, &meta, moments);
}

static void
read_row(HbLoad *load, const Datum *values, const bool *nulls)
{
	HbMoments moments[1];
	char *of_row = load->moment_bytes > 0 ? load->tokens + load->token_bytes : (char *) moments;
	char *record = record_of_row(load);

	for (int i = 0; i < load->ncolumns; i++)
	{
		HbLoadColumn *column = &load->columns[i];

		if (unlikely(nulls[column->place]))
			put_null(load, column, record, of_row);
		else
			put_value(load, column, record, of_row, values[column->place]);
	}
	take_row(load, values[load->target.place], record, of_row);
}

/* Notes the lengths of arrays that come here for the first time; whether all are known now. */
static bool
learn_lengths(HbLoad *load, const Datum *values, const bool *nulls)
{
	bool all = true;

	for (int i = 0; i < load->ncolumns; i++)
	{
		HbLoadColumn *column = &load->columns[i];

		if (column->length != HB_NO_LENGTH)
			continue;
		if (nulls[column->place])
		{
			all = false;
			continue;
		}
		if (column->op == HB_OP_BYTES)
			column->length = (int) (toast_raw_datum_size(values[column->place]) - VARHDRSZ);
		else
			column->length = hb_field_floats(column->field->type, values[column->place],
											 column->field->name, 0, NULL);
		if (column->length == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("values in column \"%s\" must not be empty", column->field->name)));
	}
	return all;
}

static void
replay_pending(HbLoad *load)
{
	if (load->pending == NULL)
		return;
	tuplestore_rescan(load->pending);
	while (tuplestore_gettupleslot(load->pending, true, false, load->pending_slot))
	{
		MemoryContext before = MemoryContextSwitchTo(load->row_context);

		slot_getallattrs(load->pending_slot);
		read_row(load, load->pending_slot->tts_values, load->pending_slot->tts_isnull);
		MemoryContextSwitchTo(before);
		MemoryContextReset(load->row_context);
	}
	ExecDropSingleTupleTableSlot(load->pending_slot);
	tuplestore_end(load->pending);
	load->pending = NULL;
}

/* Before all lengths are known rows wait in a tuplestore: the relation is read but once. */
static void
receive_early(HbLoad *load, TupleTableSlot *slot)
{
	MemoryContext before = MemoryContextSwitchTo(load->context);

	if (learn_lengths(load, slot->tts_values, slot->tts_isnull))
	{
		hb_load_lay_out(load);
		replay_pending(load);
	}
	else
	{
		if (load->pending == NULL)
		{
			load->pending = tuplestore_begin_heap(false, false, work_mem);
			load->pending_slot =
				MakeSingleTupleTableSlot(slot->tts_tupleDescriptor, &TTSOpsMinimalTuple);
		}
		tuplestore_puttupleslot(load->pending, slot);
	}
	MemoryContextSwitchTo(before);
}

typedef struct HbReceiver
{
	DestReceiver receiver;
	HbLoad *load;
} HbReceiver;

/* Where it can be read straight from the tuple; false otherwise. */
static bool
receive_tuple(HbLoad *load, TupleTableSlot *slot)
{
	char *record = record_of_row(load);
	MemoryContext before;
	Datum target;

	if (!hb_load_direct(load, slot, record, &target))
		return false;
	before = MemoryContextSwitchTo(load->row_context);
	take_row(load, target, record, NULL);
	MemoryContextSwitchTo(before);
	return true;
}

static void
receive_values(HbLoad *load, TupleTableSlot *slot)
{
	MemoryContext before;

	slot_getallattrs(slot);
	if (slot->tts_isnull[load->target.place])
	{
		load->skipped++;
		return;
	}
	if (unlikely(!load->laid_out))
	{
		receive_early(load, slot);
		if (!load->laid_out)
			return;
	}
	before = MemoryContextSwitchTo(load->row_context);
	read_row(load, slot->tts_values, slot->tts_isnull);
	MemoryContextSwitchTo(before);
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	HbLoad *load = ((HbReceiver *) self)->load;

	if (!load->laid_out || !receive_tuple(load, slot))
		receive_values(load, slot);
	if (load->row_dirty)
	{
		MemoryContextReset(load->row_context);
		load->row_dirty = false;
	}
	return true;
}

static void
receive_startup(DestReceiver *self, int operation, TupleDesc descriptor)
{
	HbLoad *load = ((HbReceiver *) self)->load;

	/* The columns may not have changed since they were looked at: the lock is held. */
	if (descriptor->natts != load->ncolumns + 1)
		elog(ERROR, "training query returns %d columns, expected %d", descriptor->natts,
			 load->ncolumns + 1);
	for (int i = 0; i < load->ncolumns; i++)
		if (TupleDescAttr(descriptor, load->columns[i].place)->atttypid !=
			load->plan->fields[i].declared)
			elog(ERROR, "training query returns another type for column \"%s\"",
				 load->plan->fields[i].name);
}

static void
receive_nothing(DestReceiver *self)
{
}

void
hb_read_run(HbLoad *load)
{
	char *query = load->query;
	HbReceiver *receiver = palloc0(sizeof(HbReceiver));
	List *parsed = pg_parse_query(query);
	List *rewritten;
	PlannedStmt *plan;
	QueryDesc *descriptor;

	rewritten =
		pg_analyze_and_rewrite_fixedparams(linitial_node(RawStmt, parsed), query, NULL, 0, NULL);
	plan = pg_plan_query(linitial_node(Query, rewritten), query, 0, NULL);
	/* All locks are held now.  A snapshot from before would not see what was committed while they were waited for. */
	PopActiveSnapshot();
	PushActiveSnapshot(GetTransactionSnapshot());
	load->estimated_rows = plan->planTree->plan_rows;
	receiver->receiver.receiveSlot = receive_row;
	receiver->receiver.rStartup = receive_startup;
	receiver->receiver.rShutdown = receive_nothing;
	receiver->receiver.rDestroy = receive_nothing;
	receiver->receiver.mydest = DestNone;
	receiver->load = load;
	descriptor = CreateQueryDesc(plan, query, GetActiveSnapshot(), InvalidSnapshot,
								 &receiver->receiver, NULL, NULL, 0);
	ExecutorStart(descriptor, 0);
	hb_executor_run(descriptor);
	ExecutorFinish(descriptor);
	MemoryContextSwitchTo(load->context);
	if (!load->laid_out)
	{
		hb_load_lay_out(load);
		replay_pending(load);
	}
	ExecutorEnd(descriptor);
	FreeQueryDesc(descriptor);
	if (load->sample != NULL)
		hb_sample_finish(load);
	hb_read_check_memory(load, load->nrows);
	hb_file_flush(&load->file, true);
}
