/*
 * tuple_internal.h - what tuple.c and tuple_table.c share
 */
#ifndef HB_TUPLE_INTERNAL_H
#define HB_TUPLE_INTERNAL_H

#include "pg/tuple.h"

#include "nodes/execnodes.h"

/* What the session remembers of a table; relations are open only while a row is read or written. */
typedef struct HbOpenTable
{
	MemoryContext context;
	bool valid; /* nothing has changed about the table since */
	Oid relation_id;
	Oid owner;
	Oid key_index;
	bool plain; /* no triggers and rules of a user */
	AttrNumber attributes[HB_TUPLE_COLUMNS];
	EState *estate;
	ResultRelInfo *target;
	Oid *index_ids;       /* of target's indexes, in its order */
	bool *index_valid;    /* not all are to be looked up in */
	ExprState **defaults; /* of each attribute; NULL: none */
	Datum *values;        /* room for a row's attributes */
	bool *nulls;
	bool *set;
	struct HbOpenTable *next;
} HbOpenTable;

/* Opens the table and what it remembers of it, anew where something has changed; until hb_table_close(). */
extern HbOpenTable *hb_table_open(HbTable *table);
extern void hb_table_close(HbOpenTable *open);
extern void hb_table_open_indexes(HbOpenTable *open);
extern void hb_table_close_indexes(HbOpenTable *open);
extern int hb_table_columns(const HbTable *table);
/* Raises XX001: somebody has changed the table. */
extern void hb_table_unlike(const HbTable *table, const char *detail);

#endif /* HB_TUPLE_INTERNAL_H */
