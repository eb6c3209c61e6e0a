/*
 * dataset.h - the data set that one study's trainers share
 *
 * The supervisor reads the table once into a sealed memfd; every trainer maps it read-only.  A row
 * is a fixed-width record holding the columns as compactly as they came (bytes stay bytes,
 * categories are 16-bit codes); hb_encode_row() (compute/encode.h) expands a record to the model's float inputs when a
 * batch is gathered: standardised and clipped numbers, one-hot categories, indicators of missing
 * values.  Prediction builds the same record from a row and calls the same function.
 *
 * Layout of the memfd: HbDatasetHeader at 0, then the sections at the offsets it names, each
 * aligned to 64 bytes.  Records are in the order of arrival; the order index gives
 * the row order (hash, bytes, label) within each part: training, validation and test rows.
 */
#ifndef HB_DATASET_H
#define HB_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

typedef enum HbTask
{
	HB_TASK_REGRESSION = 0,
	HB_TASK_CLASSIFICATION = 1
} HbTask;

typedef enum HbColumnKind
{
	HB_COLUMN_FLOAT = 0,    /* one float32; NaN: missing */
	HB_COLUMN_DOUBLE = 1,   /* one float64; NaN: missing */
	HB_COLUMN_CATEGORY = 2, /* one uint16 code */
	HB_COLUMN_BYTES = 3,    /* length uint8, one mean and scale for all */
	HB_COLUMN_FLOATS = 4    /* length float32, one mean and scale for all */
} HbColumnKind;

/* Codes of a category column: 0..levels-1, then these two. */
#define HB_CODE_NULL 0xFFFEu
#define HB_CODE_OTHER 0xFFFFu
#define HB_MAX_LEVELS 255

typedef struct HbColumn
{
	int32_t kind;           /* HbColumnKind */
	int32_t length;         /* elements in the record; 1 for scalars */
	uint32_t record_offset; /* bytes from the start of the record, naturally aligned */
	uint32_t input_offset;  /* first input of the model */
	uint32_t input_width; /* inputs: 1 (+1 with indicator), levels (+1 null, +1 other), or length */
	int32_t levels;       /* category: number of levels */
	uint8_t indicator;    /* number: a last input is 1 where the value is missing, else 0;
							 * for arrays and bytea too */
	uint8_t null_input;   /* category: an input after the levels for NULL */
	uint8_t other_input;  /* category: an input after that for all other values */
	float clip;           /* |z| is cut to this; 0: never */
	double mean;
	double scale; /* 1 / standard deviation */
} HbColumn;

/*
 * The record of an array or bytea has a one-byte flag after its elements (record_offset + payload bytes): 1 = missing, and
 * the payload is all zero bytes.  It encodes as the mean, be there an indicator or not.  A NULL or an unseen value of a
 * category without a matching input encodes as all zeros.
 */

#define HB_DATASET_MAGIC 0x48424453u /* "HBDS" */
#define HB_DATASET_VERSION 1

typedef struct HbDatasetHeader
{
	uint32_t magic;
	uint32_t version;
	uint64_t total_bytes;
	uint32_t task;    /* HbTask */
	uint32_t outputs; /* classes; 1 for regression */
	uint32_t columns;
	uint32_t inputs; /* model inputs after encoding */
	uint32_t record_bytes;
	uint32_t reserved;
	uint64_t rows; /* records */
	uint64_t rows_train;
	uint64_t rows_validation;
	uint64_t rows_test;
	uint64_t columns_offset; /* HbColumn[columns] */
	uint64_t records_offset; /* rows * record_bytes */
	uint64_t targets_offset; /* rows * float32 (standardised) or uint32 (class) */
	uint64_t order_offset;   /* uint32[rows_train + rows_validation + rows_test] */
	double target_mean;      /* regression: of the training rows, in the target's own unit */
	double target_scale;     /* regression: standard deviation of the training rows */
} HbDatasetHeader;

/* A mapped data set; pointers into the mapping. */
typedef struct HbDataset
{
	const HbDatasetHeader *header;
	const HbColumn *columns;
	const unsigned char *records;
	const void *targets;
	const uint32_t *train; /* row numbers */
	const uint32_t *validation;
	const uint32_t *test;
} HbDataset;

typedef enum HbPart
{
	HB_PART_TRAIN,
	HB_PART_VALIDATION,
	HB_PART_TEST
} HbPart;

/* Checks sizes and offsets of a mapping of length bytes and fills the pointers; 08P01 if wrong. */
extern bool hb_dataset_open(const void *base, size_t length, HbDataset *dataset, HbStatus *status);

/*
 * Checks that each column lies within a record of record_bytes, has a width that fits its kind, and that together
 * they fill exactly the given number of inputs; 08P01 if not.  For columns that come from elsewhere than this
 * data set's header, such as the encoder of an EVALUATE job.
 */
extern bool hb_columns_check(const HbColumn *columns, uint32_t ncolumns, uint32_t inputs,
							 uint64_t record_bytes, HbStatus *status);

/* Row numbers and their count of one part. */
extern const uint32_t *hb_dataset_part(const HbDataset *dataset, HbPart part, uint64_t *count);

static inline bool
hb_column_is_array(const HbColumn *column)
{
	return column->kind == HB_COLUMN_BYTES || column->kind == HB_COLUMN_FLOATS;
}

/* Bytes that a column takes in a record, the flag of arrays included; 0 for an unknown kind. */
extern uint64_t hb_column_bytes(const HbColumn *column);

/*
 * How records become inputs.  remap: NULL, or for each category column (NULL for others) a table from the
 * data set's codes to the model's (remap[c][code], always HB_MAX_LEVELS entries; HB_CODE_OTHER where the model
 * has no such level), used when a model of an earlier study is evaluated on this data set.
 */
typedef struct HbEncoder
{
	uint32_t ncolumns;
	uint32_t inputs;
	const HbColumn *columns;
	const uint16_t *const *remap;
} HbEncoder;

#endif /* HB_DATASET_H */
