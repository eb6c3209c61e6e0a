/*
 * field.h - one column of a relation or of a predicted row: from Datum to a record's field
 *
 * Loading and prediction share it, so that a row predicts as it was trained.  hb_field_kind() says
 * which types can be features: every integer, float and numeric type, boolean, date/time types, text, varchar, bpchar,
 * name, uuid, enum (categories), arrays of numbers and bytea; domains over them by their base type.
 */
#ifndef HB_FIELD_H
#define HB_FIELD_H

#include "pg.h"

#include "core/dataset.h"

/* Inputs of a model: at most this many after encoding. */
#define HB_MAX_INPUTS 16384

/* False where the type cannot be a feature. boolean, text-like and enum: CATEGORY; int2, float4, date: FLOAT; other numbers and
 * times: DOUBLE; bytea: BYTES; arrays of numbers: FLOATS. */
extern bool hb_field_kind(Oid type, HbColumnKind *kind);

/* The integer, float and numeric types. */
extern bool hb_field_is_number(Oid type);

/* Numeric, date/time: the number (date in days since 2000, timestamps and times in seconds, interval in seconds);
 * 22000 column "c" contains NaN or infinite values, 22003 value out of range in column "c". -0 becomes 0. */
extern double hb_field_number(Oid type, Datum value, const char *column);

/* Category: the text that names the level (palloc'd or a view; boolean 'true'/'false'); length without terminator. */
extern const char *hb_field_label(Oid type, Datum value, size_t *length);

/* Array of numbers: writes n floats; 22000 on unequal length (expected > 0), NULL element, more than one dimension, NaN.
 * Returns the number of elements; out NULL: only counts. */
extern int hb_field_floats(Oid type, Datum value, const char *column, int expected, float *out);

/* The model's encoder as JSON (column model.encoder) and back: columns with name, type, levels. */
typedef struct HbFieldColumn
{
	char *name;
	Oid type; /* base type */
	HbColumn column;
	char **levels; /* category: column.levels names, in code order; NULL-terminated */
} HbFieldColumn;

typedef struct HbFieldEncoder
{
	int ncolumns;
	HbFieldColumn *fields; /* in feature order */
	HbColumn *columns;     /* the same, dense, for HbEncoder */
	uint32 inputs;
	uint32 record_bytes;
	double target_mean;
	double target_scale;
} HbFieldEncoder;

extern Jsonb *hb_encoder_to_jsonb(const HbFieldEncoder *encoder);
/* XX001 where the JSON is not an encoder (it may come from a hostile dump): every number is range-checked. */
extern HbFieldEncoder *hb_encoder_from_jsonb(Jsonb *jsonb);

/* For the model now current, seen by a new study's data: the HbEncoder over the new records (columns and
 * remap tables) when the features agree in name and kind; NULL: incompatible. */
extern HbEncoder *hb_encoder_remap(const HbFieldEncoder *model, const HbFieldEncoder *data);

#endif /* HB_FIELD_H */
