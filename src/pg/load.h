/*
 * load.h - reads a relation once into the sealed memfd of core/dataset.h
 */
#ifndef HB_LOAD_H
#define HB_LOAD_H

#include "pg.h"

#include "core/dataset.h"

typedef struct HbLoadRequest
{
	Oid relation;
	const char *relation_name; /* for messages, when the relation is gone */
	const char *target;
	char **
		features; /* NULL-terminated; NULL: every column but target, primary key, identity, serial */
	const char *task; /* NULL: from the target */
	double validation;
	double test; /* options {"test": fraction}; 0: none */
	int64 split_seed;
	int64 sample_seed;
	int64 max_rows; /* 0: all */
	double clip;    /* options {"clip": n}; 5 */
	bool strict;    /* options {"strict": true} */
	int max_categories;
	int64 max_bytes; /* hyperband.max_data_memory */
} HbLoadRequest;

typedef struct HbLoadResult
{
	int fd; /* sealed, owned by the caller */
	size_t length;
	HbDataset dataset; /* mapped read-only in this process */
	HbTask task;
	char **features;      /* those used, NULL-terminated */
	char **feature_types; /* format_type_be */
	char **labels;        /* classes in order; NULL for regression */
	int64 rows_train;
	int64 rows_validation;
	int64 rows_test;
	int64 rows_skipped; /* NULL target */
	bytea *fingerprint; /* order-independent digest of all rows and the column list */
	bytea *split_key;   /* digest of relation name, features, split options and split_seed */
	Jsonb *encoder;     /* for the model table: hb_encoder_to_jsonb */
	char **notices;     /* NULL-terminated; what a user should know */
	double cpu_seconds;
} HbLoadResult;

/*
 * What can be known at once, for hyperband_tune: the relation exists, is of a kind that can be read, the current
 * user may read the columns, their types can be used. Raises; returns the features that will be used and appends
 * notices (used and left out).  Takes AccessShareLock.
 */
extern char **hb_load_check(const HbLoadRequest *request, List **notices);

/*
 * Reads the relation in the current transaction (the caller made it READ ONLY under
 * SECURITY_RESTRICTED_OPERATION and will abort it). Raises what only the data shows. Results are allocated in result_context.
 */
extern HbLoadResult *hb_load(const HbLoadRequest *request, MemoryContext result_context);

/* Runs hb_load in a transaction of its own, READ ONLY under SECURITY_RESTRICTED_OPERATION, that ends by abort. For the supervisor. */
extern HbLoadResult *
hb_load_in_transaction(const HbLoadRequest *request, MemoryContext result_context);

extern void hb_load_free(HbLoadResult *result); /* unmaps and closes */

#endif /* HB_LOAD_H */
