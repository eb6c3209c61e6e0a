/*
 * statement.h - parameterised statements with saved plans, through SPI
 *
 * A statement is a static struct; its plan is prepared at the first run and kept for the session. Values
 * are always passed as parameters.  What a run returns stays readable by hb_row_*() until the next run.
 */
#ifndef HB_STATEMENT_H
#define HB_STATEMENT_H

#include "pg.h"

#include "executor/spi.h"

/*
 * One letter of parameters per value:
 *   l int64           L int64, 0 is NULL
 *   i int             I int, 0 is NULL
 *   d double, NaN is NULL
 *   b bool (as int)   o Oid
 *   t const char *    j Jsonb *    y bytea *    v Interval *    (NULL is NULL)
 *   a char **, NULL-terminated, to text[]; NULL is NULL
 *   A int n and const int64 *, two arguments, to bigint[]
 *   D int n and const double *, two arguments, to float8[], NaN to NULL
 */
typedef struct HbStatement
{
	const char *sql;
	const char *parameters;
	bool
		reads; /* sees the newest committed rows, whatever the isolation level, and may run in parallel mode */
	SPIPlanPtr plan;
} HbStatement;

#define HB_WRITE(sql_, parameters_)                                                                \
	{                                                                                              \
		.sql = (sql_), .parameters = (parameters_)                                                 \
	}
#define HB_READ(sql_, parameters_)                                                                 \
	{                                                                                              \
		.sql = (sql_), .parameters = (parameters_), .reads = true                                  \
	}

/* Set by hb_catalog_enter_read(): reads take the caller's active snapshot instead, as a STABLE function must. */
extern bool hb_read_as_caller;

/* Runs it inside a catalog scope; returns the number of rows. */
extern uint64 hb_run(HbStatement *statement, ...);

/* Values of the last run, columns from 1. Pointers are copies in CurrentMemoryContext, NULL for NULL. */
extern bool hb_row_is_null(uint64 row, int column);
extern int64 hb_row_int64(uint64 row, int column);   /* bigint or integer; 0 for NULL */
extern double hb_row_float8(uint64 row, int column); /* NaN for NULL */
extern bool hb_row_bool(uint64 row, int column);
extern Oid hb_row_oid(uint64 row, int column);
extern TimestampTz hb_row_time(uint64 row, int column); /* 0 for NULL */
extern char *hb_row_text(uint64 row, int column);
extern char **hb_row_texts(uint64 row, int column);
extern Jsonb *hb_row_jsonb(uint64 row, int column);
extern bytea *hb_row_bytea(uint64 row, int column);
extern Interval *hb_row_interval(uint64 row, int column);

/* Long values are stored as rows of at most this many bytes. */
#define HB_CHUNK_BYTES ((size_t) 16 * 1024 * 1024)

extern bytea *hb_bytea(const void *bytes, size_t length);

/*
 * Joins the bytea values of all n rows of the last run, total bytes in all; XX001 where the length differs or, with
 * crc_column > 0, where the XXH3-64 of a chunk does.  what names it in the message.
 */
extern void *
hb_join_chunks(uint64 n, size_t total, int crc_column, int data_column, const char *what);

#endif /* HB_STATEMENT_H */
