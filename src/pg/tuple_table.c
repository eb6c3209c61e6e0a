/*
 * tuple_table.c - what a session remembers of the catalog's tables, for tuple.c: oids, places of columns, indexes, and the compiled
 * expressions of checks, defaults and indexes
 *
 * Any change of a table or of its indexes makes the memory invalid, and the next use builds it anew.  A table that is
 * not as the extension made it, in a way that only the executor knows how to heed, is not plain: it is written by SQL.
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

static HbOpenTable *tables = NULL;
static uint64 changes = 0; /* of any relation */

static void
relation_changed(Datum arg, Oid relation_id)
{
	changes++;
	for (HbOpenTable *table = tables; table != NULL; table = table->next)
		if (relation_id == InvalidOid || table->relation_id == relation_id)
			table->valid = false;
}

int
hb_table_columns(const HbTable *table)
{
	int n = 0;

	while (n < HB_TUPLE_COLUMNS && table->columns[n].name != NULL)
		n++;
	return n;
}

void
hb_table_unlike(const HbTable *table, const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("table hyperband.%s is not as the extension made it", table->name),
					errdetail_internal("%s", detail)));
}

static void
find_columns(const HbTable *table, Relation relation, HbOpenTable *open)
{
	TupleDesc descriptor = RelationGetDescr(relation);

	for (int i = 0; i < hb_table_columns(table); i++)
	{
		AttrNumber number = get_attnum(open->relation_id, table->columns[i].name);

		if (number == InvalidAttrNumber ||
			TupleDescAttr(descriptor, number - 1)->atttypid != table->columns[i].type)
			hb_table_unlike(table, psprintf("Column \"%s\" is missing or of another type.",
											table->columns[i].name));
		open->attributes[i] = number;
	}
}

static bool
is_of_user(Oid function, void *context)
{
	return function >= FirstNormalObjectId;
}

static bool
calls_user(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return check_functions_in_node(node, is_of_user, NULL) ||
		   expression_tree_walker(node, calls_user, context);
}

void
hb_table_open_indexes(HbOpenTable *open)
{
	for (int i = 0; i < open->target->ri_NumIndices; i++)
		open->target->ri_IndexRelationDescs[i] = index_open(open->index_ids[i], RowExclusiveLock);
}

void
hb_table_close_indexes(HbOpenTable *open)
{
	for (int i = 0; i < open->target->ri_NumIndices; i++)
		index_close(open->target->ri_IndexRelationDescs[i], NoLock);
}

static void
find_indexes(const HbTable *table, HbOpenTable *open)
{
	ResultRelInfo *target = open->target;

	ExecOpenIndices(target, false);
	open->index_ids = palloc(sizeof(Oid) * Max(target->ri_NumIndices, 1));
	open->index_valid = palloc(sizeof(bool) * Max(target->ri_NumIndices, 1));
	for (int i = 0; i < target->ri_NumIndices; i++)
	{
		Form_pg_index index = target->ri_IndexRelationDescs[i]->rd_index;
		IndexInfo *info = target->ri_IndexRelationInfo[i];

		/* others keep pointers to the open index, or pins, in what is remembered here (ii_AmCache) */
		if (target->ri_IndexRelationDescs[i]->rd_rel->relam != BTREE_AM_OID ||
			calls_user((Node *) info->ii_Expressions, NULL) ||
			calls_user((Node *) info->ii_Predicate, NULL))
			open->plain = false;
		open->index_ids[i] = index->indexrelid;
		open->index_valid[i] = index->indisvalid;
		if (index->indisprimary && index->indisvalid && index->indnkeyatts == table->nkeys)
			open->key_index = index->indexrelid;
	}
	if (!OidIsValid(open->key_index))
		hb_table_unlike(table, "It has no primary key.");
	hb_table_close_indexes(open);
}

static void
compile_defaults(Relation relation, HbOpenTable *open)
{
	TupleDesc descriptor = RelationGetDescr(relation);

	open->defaults = palloc0(sizeof(ExprState *) * descriptor->natts);
	for (int i = 0; i < descriptor->natts; i++)
	{
		Node *value = NULL;

		/* the executor computes generated columns */
		if (!TupleDescAttr(descriptor, i)->attisdropped &&
			TupleDescAttr(descriptor, i)->attgenerated == '\0')
			value = build_column_default(relation, i + 1);
		if (calls_user(value, NULL))
			open->plain = false;
		if (value != NULL)
			open->defaults[i] = ExecPrepareExpr((Expr *) value, open->estate);
	}
}

static bool
is_plain(Relation relation)
{
	TriggerDesc *triggers = relation->trigdesc;
	TupleConstr *constraints = RelationGetDescr(relation)->constr;

	if (relation->rd_rel->relkind != RELKIND_RELATION || relation->rd_rules != NULL ||
		relation->rd_rel->relforcerowsecurity)
		return false;
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
		if (RI_FKey_trigger_type(triggers->triggers[i].tgfoid) == RI_TRIGGER_NONE ||
			get_rel_namespace(triggers->triggers[i].tgconstrrelid) !=
				RelationGetNamespace(relation))
			return false;
	if (constraints != NULL && constraints->has_generated_stored)
		return false;
	for (int i = 0; constraints != NULL && i < constraints->num_check; i++)
		if (calls_user(stringToNode(constraints->check[i].ccbin), NULL))
			return false;
	return true;
}

/* Opens the table for the first time, or after something has changed about it. */
static void
meet(HbTable *table)
{
	static bool registered = false;
	Oid relation_id = get_relname_relid(table->name, hb_catalog_schema());
	MemoryContext context;
	MemoryContext old;
	HbOpenTable *open;
	Relation relation;
	uint64 before;

	if (!OidIsValid(relation_id))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation \"hyperband.%s\" does not exist", table->name)));
	if (!registered)
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	registered = true;
	relation = table_open(relation_id, RowExclusiveLock);
	before = changes;
	context = AllocSetContextCreate(CurrentMemoryContext, "hyperband table", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	open = palloc0(sizeof(HbOpenTable));
	open->context = context;
	open->relation_id = relation_id;
	open->owner = relation->rd_rel->relowner;
	open->plain = is_plain(relation);
	open->estate = CreateExecutorState();
	open->target = makeNode(ResultRelInfo);
	InitResultRelInfo(open->target, relation, 0, NULL, 0);
	/* callers hold the rows that foreign keys would look for; other triggers are not plain */
	open->target->ri_TrigDesc = NULL;
	open->values = palloc(sizeof(Datum) * RelationGetNumberOfAttributes(relation));
	open->nulls = palloc(sizeof(bool) * RelationGetNumberOfAttributes(relation));
	open->set = palloc(sizeof(bool) * RelationGetNumberOfAttributes(relation));
	find_columns(table, relation, open);
	find_indexes(table, open);
	compile_defaults(relation, open);
	MemoryContextSwitchTo(old);
	/* after an error it goes with the caller's memory */
	MemoryContextSetParent(context, CacheMemoryContext);
	open->valid = changes == before; /* else good for this once */
	open->next = tables;
	tables = open;
	table->open = open;
}

static void
discard(HbTable *table)
{
	HbOpenTable **link = &tables;

	while (*link != table->open)
		link = &(*link)->next;
	*link = table->open->next;
	MemoryContextDelete(table->open->context);
	table->open = NULL;
}

/* Until hb_table_close(). */
HbOpenTable *
hb_table_open(HbTable *table)
{
	HbOpenTable *open = table->open;
	Relation relation;

	if (open != NULL)
	{
		relation = open->valid ? try_table_open(open->relation_id, RowExclusiveLock) : NULL;
		if (open->valid && relation != NULL)
		{
			open->target->ri_RelationDesc = relation;
			return open;
		}
		if (relation != NULL)
			table_close(relation, NoLock);
		discard(table);
	}
	meet(table);
	return table->open;
}

/* Locks stay until the transaction ends. */
void
hb_table_close(HbOpenTable *open)
{
	ResetPerTupleExprContext(open->estate);
	table_close(open->target->ri_RelationDesc, NoLock);
}
