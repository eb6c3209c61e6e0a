/*
 * tuple.h - single rows of the catalog by primary key, without the executor
 *
 * For the few statements that each ask and tell consists of: starting and ending a plan costs ten times what its row
 * does.  The expressions of a table (checks, defaults, indexes) are compiled once a session.  Rows keep what SQL
 * promises: constraints, every index, waiting for and following concurrent updates, 40001 in a transaction that keeps
 * its first snapshot.  Foreign keys are the callers': they hold the rows referred to, which hb_tuple_find() locks.  A
 * table with triggers or rules of a user, or with another owner than the extension's, is written by SQL instead.
 */
#ifndef HB_TUPLE_H
#define HB_TUPLE_H

#include "pg.h"

#include "access/htup.h"

#define HB_TUPLE_COLUMNS 16

typedef struct HbTupleColumn
{
	const char *name;
	Oid type;
} HbTupleColumn;

struct HbOpenTable;

/* A static struct; the columns that are used, those of the primary key (integers) first, ended by a NULL name. */
typedef struct HbTable
{
	const char *name; /* in schema hyperband */
	int nkeys;
	HbTupleColumn columns[HB_TUPLE_COLUMNS];
	struct HbOpenTable *open; /* what the session remembers */
} HbTable;

typedef enum HbTupleLock
{
	HB_TUPLE_READ,  /* none */
	HB_TUPLE_REFER, /* as a foreign key holds it: it stays until the transaction ends */
	HB_TUPLE_CHANGE /* the newest version, which nobody else changes */
} HbTupleLock;

/* A row: values of the table's columns, in their order. Those set are written; an insert leaves the rest to defaults. */
typedef struct HbTuple
{
	HbTable *table;
	HeapTuple found;
	Datum values[HB_TUPLE_COLUMNS];
	bool nulls[HB_TUPLE_COLUMNS];
	bool set[HB_TUPLE_COLUMNS];
} HbTuple;

/*
 * Inside a catalog scope; what the transaction wrote before is seen, and else the newest committed rows, or those of a
 * transaction's own snapshot.  One value a key column.  Values are valid until hb_tuple_forget().
 */
extern bool hb_tuple_find(HbTuple *tuple, HbTable *table, HbTupleLock lock, const int64 *keys);
/* The first whose last key, a bigint, is no less than the one given. */
extern bool hb_tuple_find_from(HbTuple *tuple, HbTable *table, HbTupleLock lock, const int64 *keys);
extern void hb_tuple_forget(HbTuple *tuple);
/* After a find without a result: 40001 where only the transaction's own snapshot hides a row that there is by now. */
extern void hb_tuple_require_unseen(HbTable *table, const int64 *keys);
/* Whether a row with this key has this value, found by an index on the key and jsonb_hash(column). */
extern bool hb_tuple_has_jsonb(HbTable *table, int key_column, int64 key, int column, Jsonb *value);

extern void hb_tuple_new(HbTuple *tuple, HbTable *table);
extern void hb_tuple_set(HbTuple *tuple, int column, Datum value);
extern void hb_tuple_set_null(HbTuple *tuple, int column);
extern void hb_tuple_set_text(HbTuple *tuple, int column, const char *value);
extern void hb_tuple_set_float8(HbTuple *tuple, int column, double value); /* NaN is NULL */

/* Of a new tuple; a key by default is in values then. */
extern void hb_tuple_insert(HbTuple *tuple);
/* Of one found with HB_TUPLE_CHANGE, which both forget; integers set are in values as a trigger may have left them. */
extern void hb_tuple_update(HbTuple *tuple);
extern void hb_tuple_delete(HbTuple *tuple);

/* Values of a tuple found: 0 or NaN for NULL. */
extern int64 hb_tuple_int64(const HbTuple *tuple, int column);
extern double hb_tuple_float8(const HbTuple *tuple, int column);
extern bool hb_tuple_bool(const HbTuple *tuple, int column);
extern TimestampTz hb_tuple_time(const HbTuple *tuple, int column);
extern char *hb_tuple_text(const HbTuple *tuple, int column); /* a copy; NULL for NULL */

#endif /* HB_TUPLE_H */
