/*
 * tuple.c - single rows of the catalog by primary key, without the executor
 */
#include "pg/tuple_internal.h"

#include <math.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/transam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "pg/catalog.h"

/* ---- reading ---- */

static void
deform(HbTuple *tuple, HbOpenTable *open)
{
	heap_deform_tuple(tuple->found, RelationGetDescr(open->target->ri_RelationDesc), open->values,
					  open->nulls);
	for (int i = 0; i < hb_table_columns(tuple->table); i++)
	{
		tuple->values[i] = open->values[open->attributes[i] - 1];
		tuple->nulls[i] = open->nulls[open->attributes[i] - 1];
	}
}

static void
make_keys(const HbTable *table, const HbOpenTable *open, const int64 *keys, ScanKeyData *scan_keys)
{
	for (int i = 0; i < table->nkeys; i++)
	{
		bool big = table->columns[i].type == INT8OID;

		ScanKeyInit(&scan_keys[i], open->attributes[i], BTEqualStrategyNumber,
					big ? F_INT8EQ : F_INT4EQ,
					big ? Int64GetDatum(keys[i]) : Int32GetDatum((int32) keys[i]));
	}
}

static HeapTuple
fetch(const HbTable *table, const HbOpenTable *open, Snapshot snapshot, const int64 *keys)
{
	ScanKeyData scan_keys[HB_TUPLE_COLUMNS];
	SysScanDesc scan;
	HeapTuple found;

	make_keys(table, open, keys, scan_keys);
	scan = systable_beginscan(open->target->ri_RelationDesc, open->key_index, true, snapshot,
							  table->nkeys, scan_keys);
	found = systable_getnext(scan);
	if (found != NULL)
		found = heap_copytuple(found);
	systable_endscan(scan);
	return found;
}

/* The first from a key on; the last key is a bigint. */
static HeapTuple
fetch_from(const HbTable *table, const HbOpenTable *open, Snapshot snapshot, const int64 *keys)
{
	ScanKeyData scan_keys[HB_TUPLE_COLUMNS];
	Relation index = index_open(open->key_index, AccessShareLock);
	int last = table->nkeys - 1;
	SysScanDesc scan;
	HeapTuple found;

	Assert(table->columns[last].type == INT8OID);
	make_keys(table, open, keys, scan_keys);
	ScanKeyInit(&scan_keys[last], open->attributes[last], BTGreaterEqualStrategyNumber, F_INT8GE,
				Int64GetDatum(keys[last]));
	scan = systable_beginscan_ordered(open->target->ri_RelationDesc, index, snapshot, table->nkeys,
									  scan_keys);
	found = systable_getnext_ordered(scan, ForwardScanDirection);
	if (found != NULL)
		found = heap_copytuple(found);
	systable_endscan_ordered(scan);
	index_close(index, NoLock);
	return found;
}

static void
overtaken(const char *how)
{
	ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					errmsg("could not serialize access due to concurrent %s", how)));
}

/* The version that was locked; NULL: it is gone. */
static HeapTuple
lock(const HbOpenTable *open, HeapTuple found, Snapshot snapshot, HbTupleLock strength)
{
	Relation relation = open->target->ri_RelationDesc;
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	bool follow = !IsolationUsesXactSnapshot();
	/* a lock that lets updates pass must be on the versions they make, too, or whoever deletes those does not see it */
	int flags =
		TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS | (follow ? TUPLE_LOCK_FLAG_FIND_LAST_VERSION : 0);
	TM_FailureData failure;
	TM_Result result;

	result =
		table_tuple_lock(relation, &found->t_self, snapshot, slot, GetCurrentCommandId(true),
						 strength == HB_TUPLE_REFER ? LockTupleKeyShare : LockTupleNoKeyExclusive,
						 LockWaitBlock, flags, &failure);
	if (result == TM_Updated && !follow)
		overtaken("update");
	if (result == TM_Deleted && !follow)
		overtaken("delete");
	if (result != TM_Ok && result != TM_Deleted)
		elog(ERROR, "unexpected result %d of locking a row", (int) result);
	if (result == TM_Ok && failure.traversed)
	{
		heap_freetuple(found);
		found = ExecCopySlotHeapTuple(slot);
	}
	else if (result == TM_Deleted)
	{
		heap_freetuple(found);
		found = NULL;
	}
	ExecDropSingleTupleTableSlot(slot);
	return found;
}

typedef HeapTuple (*Fetch)(const HbTable *, const HbOpenTable *, Snapshot, const int64 *);

static bool
find(HbTuple *tuple, HbTable *table, HbTupleLock strength, const int64 *keys, Fetch fetch_tuple,
	 Snapshot (*take_snapshot)(void))
{
	HbOpenTable *open = hb_table_open(table);
	Snapshot snapshot = RegisterSnapshot(take_snapshot());

	memset(tuple->set, 0, sizeof(tuple->set));
	tuple->table = table;
	tuple->found = fetch_tuple(table, open, snapshot, keys);
	if (tuple->found != NULL && strength != HB_TUPLE_READ)
		tuple->found = lock(open, tuple->found, snapshot, strength);
	if (tuple->found != NULL)
		deform(tuple, open);
	UnregisterSnapshot(snapshot);
	hb_table_close(open);
	return tuple->found != NULL;
}

bool
hb_tuple_find(HbTuple *tuple, HbTable *table, HbTupleLock strength, const int64 *keys)
{
	return find(tuple, table, strength, keys, fetch, GetTransactionSnapshot);
}

bool
hb_tuple_find_from(HbTuple *tuple, HbTable *table, HbTupleLock strength, const int64 *keys)
{
	return find(tuple, table, strength, keys, fetch_from, GetTransactionSnapshot);
}

void
hb_tuple_require_unseen(HbTable *table, const int64 *keys)
{
	HbTuple row;

	if (IsolationUsesXactSnapshot() &&
		find(&row, table, HB_TUPLE_READ, keys, fetch, GetLatestSnapshot))
		overtaken("insert");
}

/* InvalidOid: there is no index of exactly these two. */
static Oid
hash_index(const HbOpenTable *open, AttrNumber key, AttrNumber column)
{
	for (int i = 0; i < open->target->ri_NumIndices; i++)
	{
		IndexInfo *index = open->target->ri_IndexRelationInfo[i];
		FuncExpr *hash = index->ii_Expressions == NIL ? NULL : linitial(index->ii_Expressions);

		if (open->index_valid[i] && index->ii_NumIndexKeyAttrs == 2 &&
			index->ii_IndexAttrNumbers[0] == key && index->ii_IndexAttrNumbers[1] == 0 &&
			index->ii_Predicate == NIL && IsA(hash, FuncExpr) && hash->funcid == F_JSONB_HASH &&
			IsA(linitial(hash->args), Var) && ((Var *) linitial(hash->args))->varattno == column)
			return open->index_ids[i];
	}
	return InvalidOid;
}

static bool
same_jsonb(TupleTableSlot *slot, AttrNumber column, Jsonb *value)
{
	bool null;
	Datum stored = slot_getattr(slot, column, &null);

	return !null && compareJsonbContainers(&DatumGetJsonbP(stored)->root, &value->root) == 0;
}

bool
hb_tuple_has_jsonb(HbTable *table, int key_column, int64 key, int column, Jsonb *value)
{
	HbOpenTable *open = hb_table_open(table);
	AttrNumber attribute = open->attributes[column];
	Oid index_id = hash_index(open, open->attributes[key_column], attribute);
	Snapshot snapshot = RegisterSnapshot(GetTransactionSnapshot());
	Relation relation = open->target->ri_RelationDesc;
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	ScanKeyData keys[2];
	IndexScanDesc scan;
	Relation index;
	bool found = false;

	if (!OidIsValid(index_id))
		hb_table_unlike(
			table, psprintf("It has no index on jsonb_hash(%s).", table->columns[column].name));
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(key));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT4EQ,
				DirectFunctionCall1(jsonb_hash, JsonbPGetDatum(value)));
	index = index_open(index_id, AccessShareLock);
	scan = hb_index_beginscan(relation, index, snapshot, 2);
	index_rescan(scan, keys, 2, NULL, 0);
	while (!found && index_getnext_slot(scan, ForwardScanDirection, slot))
		found = same_jsonb(slot, attribute, value);
	index_endscan(scan);
	index_close(index, NoLock);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	hb_table_close(open);
	return found;
}

void
hb_tuple_forget(HbTuple *tuple)
{
	if (tuple->found != NULL)
		heap_freetuple(tuple->found);
	tuple->found = NULL;
}

int64
hb_tuple_int64(const HbTuple *tuple, int column)
{
	if (tuple->nulls[column])
		return 0;
	if (tuple->table->columns[column].type == INT4OID)
		return DatumGetInt32(tuple->values[column]);
	return DatumGetInt64(tuple->values[column]);
}

double
hb_tuple_float8(const HbTuple *tuple, int column)
{
	return tuple->nulls[column] ? NAN : DatumGetFloat8(tuple->values[column]);
}

bool
hb_tuple_bool(const HbTuple *tuple, int column)
{
	return !tuple->nulls[column] && DatumGetBool(tuple->values[column]);
}

TimestampTz
hb_tuple_time(const HbTuple *tuple, int column)
{
	return tuple->nulls[column] ? 0 : DatumGetTimestampTz(tuple->values[column]);
}

char *
hb_tuple_text(const HbTuple *tuple, int column)
{
	return tuple->nulls[column] ? NULL : TextDatumGetCString(tuple->values[column]);
}

/* ---- writing ---- */

void
hb_tuple_new(HbTuple *tuple, HbTable *table)
{
	memset(tuple, 0, sizeof(*tuple));
	tuple->table = table;
}

void
hb_tuple_set(HbTuple *tuple, int column, Datum value)
{
	tuple->values[column] = value;
	tuple->nulls[column] = false;
	tuple->set[column] = true;
}

void
hb_tuple_set_null(HbTuple *tuple, int column)
{
	tuple->values[column] = (Datum) 0;
	tuple->nulls[column] = true;
	tuple->set[column] = true;
}

void
hb_tuple_set_text(HbTuple *tuple, int column, const char *value)
{
	if (value == NULL)
		hb_tuple_set_null(tuple, column);
	else
		hb_tuple_set(tuple, column, CStringGetTextDatum(value));
}

void
hb_tuple_set_float8(HbTuple *tuple, int column, double value)
{
	if (isnan(value))
		hb_tuple_set_null(tuple, column);
	else
		hb_tuple_set(tuple, column, Float8GetDatum(value));
}

/* What became of the row: triggers may have changed it. */
static void
take_returned(HbTuple *tuple)
{
	for (int i = 0; i < hb_table_columns(tuple->table) && SPI_processed > 0; i++)
	{
		Datum value =
			SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &tuple->nulls[i]);
		Form_pg_attribute attribute = TupleDescAttr(SPI_tuptable->tupdesc, i);

		if (!tuple->nulls[i])
			tuple->values[i] = datumCopy(value, attribute->attbyval, attribute->attlen);
	}
}

/* By SQL, so that all that a user hung on the table happens; with_key names the row by the last parameters. */
static void
execute(HbTuple *tuple, StringInfo sql, bool with_key)
{
	MemoryContext old = CurrentMemoryContext;
	int ncolumns = hb_table_columns(tuple->table);
	Oid types[2 * HB_TUPLE_COLUMNS];
	Datum values[2 * HB_TUPLE_COLUMNS];
	char nulls[2 * HB_TUPLE_COLUMNS];
	int n = 0;
	int code;

	hb_catalog_prepare();
	for (int i = 0; i < ncolumns + (with_key ? tuple->table->nkeys : 0); i++)
	{
		int column = i < ncolumns ? i : i - ncolumns;

		if (i < ncolumns && !tuple->set[i])
			continue;
		types[n] = tuple->table->columns[column].type;
		values[n] = tuple->values[column];
		nulls[n++] = tuple->nulls[column] ? 'n' : ' ';
		if (i >= ncolumns)
			appendStringInfo(sql, "%s %s = $%d", column == 0 ? " WHERE" : " AND",
							 tuple->table->columns[column].name, n);
	}
	appendStringInfoString(sql, " RETURNING ");
	for (int i = 0; i < ncolumns; i++)
		appendStringInfo(sql, "%s%s", i == 0 ? "" : ", ", tuple->table->columns[i].name);
	code = SPI_execute_with_args(sql->data, n, types, values, nulls, false, 0);
	if (code < 0)
		elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(code));
	MemoryContextSwitchTo(old);
	take_returned(tuple);
}

static void
insert_by_sql(HbTuple *tuple)
{
	StringInfoData sql;
	StringInfoData places;
	int n = 0;

	initStringInfo(&sql);
	initStringInfo(&places);
	appendStringInfo(&sql, "INSERT INTO hyperband.%s (", tuple->table->name);
	for (int i = 0; i < hb_table_columns(tuple->table); i++)
	{
		if (!tuple->set[i])
			continue;
		appendStringInfo(&sql, "%s%s", n == 0 ? "" : ", ", tuple->table->columns[i].name);
		appendStringInfo(&places, "%s$%d", n == 0 ? "" : ", ", n + 1);
		n++;
	}
	appendStringInfo(&sql, ") VALUES (%s)", places.data);
	execute(tuple, &sql, false);
}

static void
update_by_sql(HbTuple *tuple)
{
	StringInfoData sql;
	int n = 0;

	initStringInfo(&sql);
	appendStringInfo(&sql, "UPDATE hyperband.%s SET", tuple->table->name);
	for (int i = 0; i < hb_table_columns(tuple->table); i++)
	{
		if (!tuple->set[i])
			continue;
		appendStringInfo(&sql, "%s %s = $%d", n == 0 ? "" : ",", tuple->table->columns[i].name,
						 n + 1);
		n++;
	}
	execute(tuple, &sql, true);
}

static void
delete_by_sql(HbTuple *tuple)
{
	StringInfoData sql;

	memset(tuple->set, 0, sizeof(tuple->set));
	initStringInfo(&sql);
	appendStringInfo(&sql, "DELETE FROM hyperband.%s", tuple->table->name);
	execute(tuple, &sql, true);
}

static bool
writes_directly(const HbOpenTable *open)
{
	return open->plain && open->owner == GetUserId();
}

/* Attributes with the tuple's values, and by default or, for an update, unset. */
static void
fill_attributes(const HbTuple *tuple, HbOpenTable *open, Datum *values, bool *nulls)
{
	memset(open->set, 0,
		   sizeof(bool) * RelationGetNumberOfAttributes(open->target->ri_RelationDesc));
	for (int i = 0; i < hb_table_columns(tuple->table); i++)
	{
		int attribute = open->attributes[i] - 1;

		if (!tuple->set[i])
			continue;
		values[attribute] = tuple->values[i];
		nulls[attribute] = tuple->nulls[i];
		open->set[attribute] = true;
	}
}

static void
insert_directly(HbTuple *tuple, HbOpenTable *open)
{
	TupleDesc descriptor = RelationGetDescr(open->target->ri_RelationDesc);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(descriptor, &TTSOpsVirtual);
	ExprContext *context = GetPerTupleExprContext(open->estate);

	fill_attributes(tuple, open, slot->tts_values, slot->tts_isnull);
	for (int i = 0; i < descriptor->natts; i++)
	{
		if (open->set[i])
			continue;
		slot->tts_isnull[i] = true;
		if (open->defaults[i] != NULL)
			slot->tts_values[i] =
				ExecEvalExprSwitchContext(open->defaults[i], context, &slot->tts_isnull[i]);
	}
	ExecStoreVirtualTuple(slot);
	ExecSimpleRelationInsert(open->target, open->estate, slot);
	for (int i = 0; i < hb_table_columns(tuple->table); i++)
	{
		int attribute = open->attributes[i] - 1;

		/* a default that is passed by reference is gone with this row */
		if (!tuple->set[i] && TupleDescAttr(descriptor, attribute)->attbyval)
		{
			tuple->values[i] = slot->tts_values[attribute];
			tuple->nulls[i] = slot->tts_isnull[attribute];
		}
	}
	ExecDropSingleTupleTableSlot(slot);
}

/* A slot that says no more than where the row is. */
static TupleTableSlot *
place_of(const HbTuple *tuple, TupleDesc descriptor)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(descriptor, &TTSOpsVirtual);

	slot->tts_tid = tuple->found->t_self;
	slot->tts_tableOid = tuple->found->t_tableOid;
	return slot;
}

static void
update_directly(HbTuple *tuple, HbOpenTable *open)
{
	TupleDesc descriptor = RelationGetDescr(open->target->ri_RelationDesc);
	TupleTableSlot *place = place_of(tuple, descriptor);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(descriptor, &TTSOpsHeapTuple);
	EPQState unused = {0}; /* nobody else can have changed the row that is locked */

	fill_attributes(tuple, open, open->values, open->nulls);
	ExecForceStoreHeapTuple(
		heap_modify_tuple(tuple->found, descriptor, open->values, open->nulls, open->set), slot,
		true);
	ExecSimpleRelationUpdate(open->target, open->estate, &unused, place, slot);
	ExecDropSingleTupleTableSlot(slot);
	ExecDropSingleTupleTableSlot(place);
}

static void
delete_directly(HbTuple *tuple, HbOpenTable *open)
{
	TupleTableSlot *place = place_of(tuple, RelationGetDescr(open->target->ri_RelationDesc));
	EPQState unused = {0};

	ExecSimpleRelationDelete(open->target, open->estate, &unused, place);
	ExecDropSingleTupleTableSlot(place);
}

static void
write_tuple(HbTuple *tuple, void (*directly)(HbTuple *, HbOpenTable *), void (*by_sql)(HbTuple *))
{
	HbOpenTable *open = hb_table_open(tuple->table);

	if (!writes_directly(open))
	{
		hb_table_close(open);
		by_sql(tuple);
	}
	else
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		open->estate->es_snapshot = GetActiveSnapshot();
		hb_table_open_indexes(open);
		PG_TRY();
		{
			directly(tuple, open);
		}
		PG_CATCH();
		{
			/* half of the expressions may be compiled */
			open->valid = false;
			PG_RE_THROW();
		}
		PG_END_TRY();
		hb_table_close_indexes(open);
		open->estate->es_snapshot = NULL;
		PopActiveSnapshot();
		hb_table_close(open);
		CommandCounterIncrement();
	}
	hb_tuple_forget(tuple);
}

void
hb_tuple_insert(HbTuple *tuple)
{
	write_tuple(tuple, insert_directly, insert_by_sql);
}

void
hb_tuple_update(HbTuple *tuple)
{
	write_tuple(tuple, update_directly, update_by_sql);
}

void
hb_tuple_delete(HbTuple *tuple)
{
	write_tuple(tuple, delete_directly, delete_by_sql);
}
