/*
 * load_internal.h - what the load_*.c files share
 *
 * A load runs in these steps: resolve the columns (load_check.c), run one query (load_layout.c) whose rows go to
 * load_read.c (tables of plain numbers: load_direct.c), which writes records (load_file.c) or a sample of them (load_sample.c), decide
 * classes, order and split (load_order.c, load_split.c), compute what the encoder needs (load_count.c) and seal the file
 * (load_finish.c).
 */
#ifndef HB_LOAD_INTERNAL_H
#define HB_LOAD_INTERNAL_H

#include "pg/load.h"

#include "core/hash.h"
#include "nodes/execnodes.h"
#include "pg/field.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#define HB_MIN_ROWS 20
#define HB_MAX_FEATURES 1600
#define HB_MAX_CLASSES 65535
#define HB_AUTO_CLASSES                                                                            \
	20 /* integers of more distinct values are regression unless told otherwise */
#define HB_NO_LENGTH (-1)
#define HB_NULL_LEVEL UINT32_MAX /* in a record, of NULL, until levels become codes */

/* load_check.c: the columns, as the catalog has them. */
typedef enum HbTargetKind
{
	HB_TARGET_LABEL,   /* text-like, boolean, enum: a class */
	HB_TARGET_INTEGER, /* decided by the task or the number of distinct values */
	HB_TARGET_NUMBER   /* float, numeric: regression */
} HbTargetKind;

typedef struct HbLoadField
{
	char *name;
	Oid declared; /* the column's own type, for messages */
	Oid type;     /* base type */
	HbColumnKind kind;
	AttrNumber attribute;
	int place; /* in the query's result */
} HbLoadField;

typedef struct HbLoadPlan
{
	Oid relation;
	char *relation_name; /* for messages: unqualified */
	char *qualified;     /* schema.name, quoted as identifiers are */
	int nfields;
	HbLoadField *fields; /* in feature order */
	HbLoadField target;
	HbTargetKind target_kind;
	int task; /* HbTask, or -1: decided by the data */
	bool row_security;
	bool own_list;  /* features was NULL */
	List *left_out; /* names of columns left out, char * */
} HbLoadPlan;

/* Opens, checks and closes the relation, keeping the lock. Raises. */
extern HbLoadPlan *hb_load_resolve(const HbLoadRequest *request);

/* load_dict.c: the distinct labels of a category column, numbered as they come. */
typedef struct HbLevel
{
	const char *label; /* terminated */
	uint32 length;
	uint64 count; /* in the training rows */
	HbHash128 hash;
} HbLevel;

typedef struct HbDict
{
	MemoryContext context; /* owns the labels */
	HbLevel *levels;
	uint32 nlevels;
	uint32 capacity;
	uint32 *slots; /* level + 1 by hash, open addressing; 0: free */
	uint32 mask;
	Size bytes;
} HbDict;

extern HbDict *hb_dict_create(MemoryContext context);
extern uint32 hb_dict_add(HbDict *dict, const char *label, size_t length, HbHash128 hash);
/* Level numbers sorted by label in C order. */
extern uint32 *hb_dict_sorted(const HbDict *dict);

/* The distinct values of an integer target, at most limit + 1 of them. */
typedef struct HbIntegers
{
	int64 *values;
	uint32 n;
	uint32 limit;
	uint32 *slots;
	uint32 mask;
	uint8 small[256]; /* those of 0 .. 255 that are in the set */
} HbIntegers;

extern HbIntegers *hb_integers_create(uint32 limit);
extern void hb_integers_add(HbIntegers *set, int64 value);
/* Sorts the values; from then on hb_integers_code() gives their rank. */
extern void hb_integers_sort(HbIntegers *set);
extern uint32 hb_integers_code(const HbIntegers *set, int64 value);

/* load_pages.c: large arrays that a load writes once and drops. */
extern void *hb_pages_alloc(MemoryContext context, Size size);
extern void *hb_pages_grow(void *pages, Size size);
extern void hb_pages_free(void *pages);
/* Gives back what lies behind the first size bytes. */
extern void hb_pages_trim(void *pages, Size size);

/* load_file.c: the memfd. */
typedef struct HbLoadFile
{
	int fd;       /* -1: none */
	char *buffer; /* own_buffer, or the window */
	char *own_buffer;
	size_t own_bytes;
	char *window;   /* into the file, NULL: none */
	char *reserved; /* around it, for alignment */
	size_t reserved_length;
	double expected; /* bytes of the whole file */
	bool try_huge;
	double waited; /* seconds for huge pages, beyond what small ones cost */
	size_t used;
	size_t threshold; /* flushed when used reaches it */
	uint64 position;  /* of the buffer in the file, a multiple of the page size */
	void *map;        /* MAP_FAILED: none */
	size_t map_length;
	MemoryContextCallback callback;
} HbLoadFile;

/* Opens a memfd that is closed again when context goes, unless hb_file_release() came first. */
extern void hb_file_open(HbLoadFile *file, MemoryContext context);
extern void
hb_file_start(HbLoadFile *file, uint64 position, size_t record_bytes, double expected_bytes);
extern void hb_file_flush(HbLoadFile *file, bool all);
extern void hb_file_write_at(HbLoadFile *file, uint64 position, const void *bytes, size_t length);
extern char *hb_file_map(HbLoadFile *file, size_t length, bool writable);
extern void hb_file_unmap(HbLoadFile *file);
extern void hb_file_seal(HbLoadFile *file, uint64 total);
extern void hb_file_release(HbLoadFile *file);

/* Where the next record goes; hb_file_push() then keeps it. */
static inline char *
hb_file_next(HbLoadFile *file)
{
	if (file->used >= file->threshold)
		hb_file_flush(file, false);
	return file->buffer + file->used;
}

static inline void
hb_file_push(HbLoadFile *file, size_t length)
{
	file->used += length;
}

/* load_read.c */
typedef enum HbLoadOp
{
	HB_OP_INT2,
	HB_OP_INT4,
	HB_OP_INT8,
	HB_OP_FLOAT4,
	HB_OP_FLOAT8,
	HB_OP_NUMBER, /* through hb_field_number() */
	HB_OP_BOOL,
	HB_OP_TEXT,
	HB_OP_ENUM,
	HB_OP_LABEL, /* through hb_field_label() */
	HB_OP_BYTES,
	HB_OP_FLOATS
} HbLoadOp;

#define HB_ENUM_CACHE 64

/* Where a scan's bytes were last, to guess where they will be. */
typedef struct HbAhead
{
	const char *page;   /* of shared buffers */
	ptrdiff_t distance; /* from the page before it */
} HbAhead;

typedef struct HbLoadColumn
{
	HbLoadOp op;
	int place;      /* in the query's result */
	bool single;    /* kept as float32 */
	bool flagged;   /* array or bytea */
	int length;     /* elements; HB_NO_LENGTH until the first value of an array is seen */
	uint32 offset;  /* in the record */
	uint32 token;   /* in the row's tokens */
	uint32 moments; /* in the row's moments, arrays and bytea */
	const HbLoadField *field;
	HbAhead ahead;
	HbDict *dict;
	struct
	{
		Oid value;
		uint32 level;
	} * enums; /* direct-mapped by OID */
} HbLoadColumn;

typedef union HbTargetValue
{
	int64 integer;
	double number;
	uint32 level; /* of the target's dictionary, later the class */
} HbTargetValue;

/* Mean and sum of squared deviations of one row's array. count 0: missing. */
typedef struct HbMoments
{
	double mean;
	double squares;
} HbMoments;

/* A row while it is read, beside its record. */
typedef struct HbRowMeta
{
	HbHash128 hash;
	HbTargetValue target;
} HbRowMeta;

/*
 * What is kept of it until the rows are in order: every byte more is one a row beside the data.  So of the digest 94 bits
 * stay (two of a billion distinct rows share these with probability 3e-11): the upper half here, the rest in an array of
 * its own, whose lowest two bits are the row's HbPart.
 */
typedef struct HbKeptRow
{
	uint64 hash;
	HbTargetValue target;
} HbKeptRow;

#define HB_PART_BITS 2

#define HB_ROWS_AHEAD 16 /* rows are visited in random order: ask for them early */

struct HbSample;
typedef struct HbLoadDirect HbLoadDirect; /* load_direct.c */

typedef struct HbLoad
{
	const HbLoadRequest *request;
	HbLoadPlan *plan;
	MemoryContext context;     /* of this load */
	MemoryContext row_context; /* reset after rows that allocated */
	bool row_dirty;
	List *notices;

	char *query;
	int ncolumns;
	HbLoadColumn *columns; /* in feature order */
	bool laid_out;         /* all lengths are known */
	Tuplestorestate *pending;
	TupleTableSlot *pending_slot;
	uint32 record_bytes;
	uint32 token_bytes;
	uint32 moment_bytes;
	char *tokens;  /* of the current row: split seed, then one token a column, in order of name */
	char *scratch; /* a sampled row's record */

	HbLoadDirect *direct; /* how the table's own tuples are read; NULL before the first */
	HbLoadColumn target;  /* op, dict, enums */
	HbIntegers *integers;

	HbLoadFile file;
	uint64 records_offset;
	uint64 dictionary_bytes;
	uint64 row_cost; /* bytes of data a row takes */
	double estimated_rows;
	struct HbSample *sample;

	uint64 read;      /* rows with a target */
	uint64 skipped;   /* rows without */
	HbHash128 digest; /* sum over the rows read */

	uint64 nrows; /* records */
	uint64 capacity;
	HbKeptRow *rows;
	uint32 *tails; /* by row: what follows of its digest, and its HbPart */
	char *moments; /* nrows times moment_bytes */

	HbTask task;
	uint32 nclasses;
	char **labels;
	uint32 *order;        /* all rows by (hash, label); load_finish.c: by part, then so */
	HbHash128 validation; /* rows validate whose digest lies below */
	HbHash128 test;
	uint64 count[3]; /* by HbPart */
} HbLoad;

extern void hb_read_run(HbLoad *load);
/* Asks for the bytes that lie a page behind these, which is where a scan's coming rows usually are. */
extern void hb_read_ahead(HbAhead *ahead, const char *data, int length);
extern void hb_load_note(HbLoad *load, const char *format, ...) pg_attribute_printf(2, 3);
/* Keeps a record that is complete in the file's buffer. */
extern void hb_read_keep(HbLoad *load, const HbRowMeta *meta, const char *moments);
/* 53400 when the data set outgrows hyperband.max_data_memory. */
extern void hb_read_check_memory(HbLoad *load, uint64 rows);

/*
 * load_direct.c: a row's record and tokens, and its target's value, from the tuple in the slot.  false: nothing of use is
 * done, the row goes by its Datums.
 */
extern bool hb_load_direct(HbLoad *load, TupleTableSlot *slot, char *record, Datum *target);

/* load_layout.c */
extern void hb_load_prepare(HbLoad *load);
extern void hb_load_lay_out(HbLoad *load);

/* load_moments.c: one row's array. */
extern void hb_copy_bytes(uint8 *out, const uint8 *bytes, int n, uint32 *sum, uint32 *squares);
extern HbMoments hb_float_moments(const float *values, int n);

/* load_sample.c: options {"max_rows": n}. */
extern struct HbSample *hb_sample_create(HbLoad *load, uint64 limit);
extern void hb_sample_row(HbLoad *load, HbHash128 whole, const HbRowMeta *meta, const char *record,
						  const char *moments);
extern void hb_sample_finish(HbLoad *load);

/* load_order.c */
extern void hb_load_classes(HbLoad *load);
extern void hb_load_order(HbLoad *load);
/* load_split.c: what a row is for by its digest, and then where some class lacks a side. */
extern HbPart hb_load_part(const HbLoad *load, HbHash128 hash);
extern void hb_load_split(HbLoad *load);

/* load_count.c: of the training rows, by column. */
typedef struct HbColumnStats
{
	uint64 n;       /* elements that are there */
	uint64 missing; /* rows without */
	double shift;
	double sum; /* of deviations from shift; float arrays: the mean */
	double squares;
	uint32 levels; /* distinct ones; counted by load_finish.c */
} HbColumnStats;

/*
 * The same whatever order the rows are in; counts levels in the columns' dictionaries.  records may be NULL where all columns
 * are arrays.
 */
extern HbColumnStats *hb_load_count(HbLoad *load, const char *records);

/* load_finish.c */
extern HbLoadResult *hb_load_finish(HbLoad *load, MemoryContext result_context);

static inline HbPart
hb_row_part(const HbLoad *load, uint64 row)
{
	return (HbPart) (load->tails[row] & ((1 << HB_PART_BITS) - 1));
}

/* By digest; 0 where two rows have the same features. */
static inline int
hb_rows_compare(const HbLoad *load, uint64 a, uint64 b)
{
	uint64 x = load->rows[a].hash, y = load->rows[b].hash;

	if (x == y)
	{
		x = load->tails[a] >> HB_PART_BITS;
		y = load->tails[b] >> HB_PART_BITS;
	}
	return x < y ? -1 : x > y;
}

static inline double
hb_target_number(const HbLoad *load, uint64 row)
{
	return load->plan->target_kind == HB_TARGET_INTEGER ? (double) load->rows[row].target.integer
														: load->rows[row].target.number;
}

#endif /* HB_LOAD_INTERNAL_H */
