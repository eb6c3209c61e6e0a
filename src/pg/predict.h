/*
 * predict.h - what the prediction files share: a decoded model, its cache, and rows turned into records
 *
 * predict_cache.c finds the model that a name means for the current user and keeps decoded models of
 * the session; predict_row.c turns a SQL row or a JSON object into the record that the model's
 * encoder reads, predict_direct.c rows of plain numbers into inputs without it; predict.c holds the
 * SQL functions that predict, model.c those that manage models.
 */
#ifndef HB_PREDICT_H
#define HB_PREDICT_H

#include "pg.h"

#include "access/htup_details.h"
#include "lib/ilist.h"

#include "field.h"
#include "learn/family.h"

/* Names one stored model for ever: a re-created extension starts its numbers again. */
typedef struct HbModelKey
{
	int64 model_id;
	int64 crc;
	TimestampTz created_at;
} HbModelKey;

/* A category's levels in the order that a lookup by text needs. */
typedef struct HbLevel
{
	const char *name;
	size_t length;
	uint16 code;
} HbLevel;

/* A decoded model. Immutable once built; freed when it has left the cache and nobody pins it. */
typedef struct HbPredictor
{
	HbModelKey key; /* first: the hash key */
	MemoryContext context;
	dlist_node use; /* in order of last use, while cached */
	bool cached;
	int pins;
	Size bytes;
	char *name;
	int version;
	const HbFamily *family;
	HbModel *model;
	HbModelInfo info;
	HbFieldEncoder *fields;
	HbEncoder encoder;
	HbLevel **levels; /* by feature; NULL where it is no category */
	char **labels;    /* info.outputs of them; NULL for regression */
	uint32 stride;    /* floats of an input row, inputs rounded up to whole cache lines */
} HbPredictor;

/* What a snapshot sees, as far as two of one session differ. */
typedef struct HbSnapshotMark
{
	TransactionId xmin;
	TransactionId xmax;
	uint32 running;
	int32 subtransactions;
	CommandId command; /* whose effects are not seen, nor those of later ones of the transaction */
} HbSnapshotMark;

/* Which model a name meant, and until when that holds. */
typedef struct HbResolution
{
	HbModelKey key;
	Oid user;
	uint64 generation;       /* of models and grants */
	uint64 roles;            /* of role memberships */
	HbSnapshotMark snapshot; /* that it was last used with */
	bool settled;            /* the snapshot behind it saw all that the generation announced */
} HbResolution;

/* True while a lookup of the same name by the current user would give the same model. */
extern bool hb_resolution_valid(HbResolution *resolution);

/*
 * The model that name means for the current user, version 0 being the current one.  One's own model
 * comes first, then models of roles whose privileges the user has and models granted to the user or to
 * such a role; two of the latter are 42P09.  42704 where there is none, 55000 where a study of that
 * name has not finished a version, XX001 where what is stored is damaged.  The result stays alive
 * until another call, or until it is unpinned.
 */
extern HbPredictor *hb_predictor_find(const char *name, int version, HbResolution *resolution);

extern void hb_predictor_pin(HbPredictor *predictor);
extern void hb_predictor_unpin(HbPredictor *predictor);

/*
 * model.c: whose model name means for user: one's own goes first, then one of a role whose privileges the
 * user has or, with granted, one granted to the user or to such a role; two of these are 42P09.
 * InvalidOid: none.  Both run inside a catalog scope.
 */
extern Oid hb_model_find_owner(Oid user, const char *name, bool granted);

/* Raises why owner (InvalidOid: nobody) has no such version: 42704, or 55000 where only a study has the name. */
extern void
hb_model_missing(Oid user, Oid owner, const char *name, int version) __attribute__((noreturn));

/* Rows of plain numbers straight to inputs; predict_direct.c. */
typedef struct HbDirect HbDirect;

/*
 * attributes[j] and types[j] (domains by their base type): what feeds feature j.  Allocated in the current context;
 * NULL where rows of that type cannot be read so.
 */
extern HbDirect *hb_direct_build(const HbFieldEncoder *fields, TupleDesc descriptor,
								 const int *attributes, const Oid *types);

/* Fills inputs as record and encoder would; false, inputs undefined: this row needs the general way. */
extern bool hb_direct_read(const HbDirect *direct, HeapTupleHeader tuple, float *inputs);

/* How the columns of one row type feed the model; rebuilt when the row type changes. */
typedef struct HbRowMap HbRowMap;

/* What one call site needs to predict row after row without allocating. */
typedef struct HbRowBuffer
{
	const HbPredictor *predictor;
	MemoryContext context; /* holds all of this; reset when the predictor changes */
	MemoryContext scratch; /* detoasted values of one row */
	HbRowMap *map;         /* NULL before the first row */
	unsigned char *record;
	float *inputs;
	float *scores;
} HbRowBuffer;

/* Allocates the buffers for predictor in buffer->context, after resetting it. */
extern void hb_row_buffer_init(HbRowBuffer *buffer, const HbPredictor *predictor);

/* Fill buffer->inputs from a row or from a JSON object; 42703, 42804, 22000, 22003, 22023. */
extern void hb_row_from_tuple(HbRowBuffer *buffer, HeapTupleHeader tuple);
extern void hb_row_from_jsonb(HbRowBuffer *buffer, Jsonb *object);

#endif /* HB_PREDICT_H */
