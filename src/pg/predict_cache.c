/*
 * predict_cache.c - from a model's name to decoded weights, once per session
 *
 * Two caches, both bounded.  Resolutions remember which version a name meant for a user; they hold
 * while no model, grant or role membership changed, which relation and system cache invalidations
 * announce.  Predictors are decoded models; a stored version never changes, so they hold for
 * ever and are evicted by age of last use.  Memory of a model is one context, so that eviction gives
 * everything back.
 */
#include "pg.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "predict.h"

#define HB_MAX_PREDICTORS 64
#define HB_MAX_PREDICTOR_BYTES ((Size) 256 * 1024 * 1024)
#define HB_MAX_RESOLUTIONS 256
#define HB_MAX_MODEL_NAME 255

typedef struct HbPredictorEntry
{
	HbModelKey key;
	HbPredictor *predictor;
} HbPredictorEntry;

typedef struct HbResolutionKey
{
	Oid user;
	int32 version;
	char name[HB_MAX_MODEL_NAME + 1]; /* zero-padded: compared as bytes */
} HbResolutionKey;

typedef struct HbResolutionEntry
{
	HbResolutionKey key;
	HbResolution resolution;
} HbResolutionEntry;

static MemoryContext cache_context = NULL;
static HTAB *predictors = NULL;
static HTAB *resolutions = NULL;
static dlist_head by_use = DLIST_STATIC_INIT(by_use); /* most recent first */
static int predictor_count = 0;
static Size predictor_bytes = 0;
static uint64 role_generation = 1;

static void
roles_changed(Datum argument, int cache, uint32 hash)
{
	role_generation++;
}

static HTAB *
make_table(const char *name, Size key, Size entry)
{
	HASHCTL control = {0};

	control.keysize = key;
	control.entrysize = entry;
	control.hcxt = cache_context;
	return hash_create(name, 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static void
cache_init(void)
{
	static bool registered = false;

	if (!registered)
	{
		CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, roles_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHOID, roles_changed, (Datum) 0);
		registered = true;
	}
	if (cache_context == NULL)
		cache_context =
			AllocSetContextCreate(CacheMemoryContext, "hyperband models", ALLOCSET_SMALL_SIZES);
	if (predictors == NULL)
		predictors =
			make_table("hyperband predictors", sizeof(HbModelKey), sizeof(HbPredictorEntry));
	if (resolutions == NULL)
		resolutions =
			make_table("hyperband resolutions", sizeof(HbResolutionKey), sizeof(HbResolutionEntry));
}

/* ---- pins and eviction ---- */

static void
predictor_free(HbPredictor *predictor)
{
	MemoryContext context = predictor->context;

	predictor->family->close(predictor->model);
	MemoryContextDelete(context);
}

void
hb_predictor_pin(HbPredictor *predictor)
{
	predictor->pins++;
}

void
hb_predictor_unpin(HbPredictor *predictor)
{
	Assert(predictor->pins > 0);
	if (--predictor->pins == 0 && !predictor->cached)
		predictor_free(predictor);
}

static void
predictor_evict(HbPredictor *predictor)
{
	hash_search(predictors, &predictor->key, HASH_REMOVE, NULL);
	dlist_delete(&predictor->use);
	predictor->cached = false;
	predictor_count--;
	predictor_bytes -= predictor->bytes;
	if (predictor->pins == 0)
		predictor_free(predictor);
}

static void
predictor_enter(HbPredictor *predictor)
{
	HbPredictorEntry *entry;
	bool found;

	/* The newcomer stays whatever its size, so that a single huge model is decoded only once. */
	while (predictor_count > 0 && (predictor_count >= HB_MAX_PREDICTORS ||
								   predictor_bytes + predictor->bytes > HB_MAX_PREDICTOR_BYTES))
		predictor_evict(dlist_container(HbPredictor, use, dlist_tail_node(&by_use)));

	entry = hash_search(predictors, &predictor->key, HASH_ENTER, &found);
	Assert(!found);
	entry->predictor = predictor;
	MemoryContextSetParent(predictor->context, cache_context);
	predictor->cached = true;
	dlist_push_head(&by_use, &predictor->use);
	predictor_count++;
	predictor_bytes += predictor->bytes;
}

/* ---- decoding; whatever a table may hold, a damaged model is an error and never a crash ---- */

static void
corrupted(const HbModelRow *row, const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("version %d of model \"%s\" is damaged", row->version, row->name),
					errdetail("%s", what)));
}

static int
count_strings(char **strings)
{
	int n = 0;

	while (strings != NULL && strings[n] != NULL)
		n++;
	return n;
}

/* What hb_encoder_from_jsonb does not check: names of the levels, and floats that are written in place. */
static bool
column_is_sound(const HbFieldEncoder *fields, int j)
{
	const HbColumn *column = &fields->columns[j];

	if (column->kind == HB_COLUMN_CATEGORY)
		return count_strings(fields->fields[j].levels) == column->levels;
	return column->kind != HB_COLUMN_FLOATS || column->record_offset % sizeof(float) == 0;
}

static void
check_encoder(const HbModelRow *row, const HbPredictor *predictor)
{
	const HbFieldEncoder *fields = predictor->fields;

	if (fields->ncolumns != count_strings(row->features))
		corrupted(row, "Its encoder has another number of columns than the model has features.");
	for (int j = 0; j < fields->ncolumns; j++)
	{
		if (strcmp(fields->fields[j].name, row->features[j]) != 0)
			corrupted(row, "Its encoder names other columns than the model's features.");
		if (!column_is_sound(fields, j))
			corrupted(row, "A column of its encoder lies at a wrong place or has other levels than "
						   "it counts.");
	}
	if (fields->inputs != predictor->info.inputs)
		corrupted(row, "Its encoder and its weights have different numbers of inputs.");
}

static void
check_outputs(const HbModelRow *row, const HbModelInfo *info)
{
	bool regression = info->task == HB_TASK_REGRESSION;

	if (strcmp(row->task, regression ? "regression" : "classification") != 0)
		corrupted(row, "Its weights were trained for another task.");
	if (regression ? info->outputs != 1
				   : (info->outputs < 2 || (uint32) count_strings(row->labels) != info->outputs))
		corrupted(row, "Its labels and its weights have different numbers of classes.");
}

static int
compare_levels(const void *a, const void *b)
{
	return strcmp(((const HbLevel *) a)->name, ((const HbLevel *) b)->name);
}

static HbLevel **
sort_levels(const HbFieldEncoder *fields)
{
	HbLevel **all = palloc0(sizeof(HbLevel *) * Max(fields->ncolumns, 1));

	for (int j = 0; j < fields->ncolumns; j++)
	{
		int n = fields->columns[j].levels;

		if (fields->columns[j].kind != HB_COLUMN_CATEGORY)
			continue;
		all[j] = palloc0(sizeof(HbLevel) * Max(n, 1));
		for (int k = 0; k < n; k++)
		{
			all[j][k].name = fields->fields[j].levels[k];
			all[j][k].length = strlen(all[j][k].name);
			all[j][k].code = (uint16) k;
		}
		qsort(all[j], n, sizeof(HbLevel), compare_levels);
	}
	return all;
}

static char **
copy_labels(char **labels, uint32 n)
{
	char **copy = palloc(sizeof(char *) * n);

	for (uint32 k = 0; k < n; k++)
		copy[k] = pstrdup(labels[k]);
	return copy;
}

static HbModelKey
key_of(const HbModelRow *row)
{
	HbModelKey key;

	memset(&key, 0, sizeof(key));
	key.model_id = row->model_id;
	key.crc = row->crc;
	key.created_at = row->created_at;
	return key;
}

/* The current memory context becomes the predictor's own. */
static HbPredictor *
predictor_build(HbModelRow *row, const void *bytes)
{
	HbPredictor *predictor = palloc0(sizeof(HbPredictor));
	HbStatus status;

	predictor->key = key_of(row);
	predictor->context = CurrentMemoryContext;
	predictor->name = pstrdup(row->name);
	predictor->version = row->version;
	predictor->family = hb_family_find(row->family);
	if (predictor->family == NULL)
		corrupted(row, "This release does not know its model family.");

	hb_status_init(&status);
	predictor->model = predictor->family->open(&hb_host_pg, bytes, row->total_bytes, &status);
	if (predictor->model == NULL)
		hb_raise(&status);
	hb_model_info(predictor->model, &predictor->info);
	check_outputs(row, &predictor->info);

	predictor->fields = hb_encoder_from_jsonb(row->encoder);
	check_encoder(row, predictor);
	predictor->encoder.ncolumns = predictor->fields->ncolumns;
	predictor->encoder.inputs = predictor->fields->inputs;
	predictor->encoder.columns = predictor->fields->columns;
	predictor->levels = sort_levels(predictor->fields);
	if (predictor->info.task == HB_TASK_CLASSIFICATION)
		predictor->labels = copy_labels(row->labels, predictor->info.outputs);
	predictor->stride = (predictor->info.inputs + 15) / 16 * 16;
	predictor->bytes = MemoryContextMemAllocated(predictor->context, true);
	return predictor;
}

/* The row and the stored bytes belong to the current context, the predictor to one of its own. */
static HbPredictor *
predictor_load(HbModelRow *row)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "hyperband model", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller;
	HbCatalogScope scope;
	HbPredictor *predictor;
	void *bytes;

	hb_catalog_enter_read(&scope);
	bytes = hb_model_bytes(row);
	hb_catalog_leave(&scope);
	caller = MemoryContextSwitchTo(context);
	predictor = predictor_build(row, bytes);
	MemoryContextSwitchTo(caller);
	predictor_enter(predictor);
	return predictor;
}

/* ---- resolution ---- */

/* Within one session this tells two snapshots apart: as transactions end and commands follow each other, one of these moves. */
static HbSnapshotMark
snapshot_mark(Snapshot snapshot)
{
	HbSnapshotMark mark = {.xmin = snapshot->xmin,
						   .xmax = snapshot->xmax,
						   .running = snapshot->xcnt,
						   .subtransactions = snapshot->subxcnt,
						   .command = snapshot->curcid};

	return mark;
}

static bool
same_mark(const HbSnapshotMark *a, const HbSnapshotMark *b)
{
	return a->xmin == b->xmin && a->xmax == b->xmax && a->running == b->running &&
		   a->subtransactions == b->subtransactions && a->command == b->command;
}

bool
hb_resolution_valid(HbResolution *resolution)
{
	HbSnapshotMark mark = snapshot_mark(GetActiveSnapshot());
	bool same = same_mark(&resolution->snapshot, &mark);

	/* Within a transaction messages are read when a new lock is taken; a new snapshot may need none. */
	if (!same)
		AcceptInvalidationMessages();
	if (resolution->user != GetUserId() || resolution->generation != hb_model_generation() ||
		resolution->roles != role_generation)
		return false;

	/*
	 * An invalidation may arrive while an older snapshot is in use: what that snapshot found must not
	 * outlive it.
	 */
	if (!resolution->settled && !same)
		return false;
	resolution->snapshot = mark;
	return true;
}

static void
resolution_stamp(HbResolution *resolution)
{
	HbSnapshotMark newest;

	resolution->user = GetUserId();
	resolution->generation = hb_model_generation();
	resolution->roles = role_generation;
	/* Taken after the generation: a transaction is visible before its invalidations are sent. */
	newest = snapshot_mark(GetCatalogSnapshot(InvalidOid));
	newest.command = GetCurrentCommandId(false);
	resolution->snapshot = snapshot_mark(GetActiveSnapshot());
	resolution->settled = same_mark(&resolution->snapshot, &newest);
}

/* The model's row, allocated in the current context. */
static HbModelRow *
resolve(const char *name, int version)
{
	Oid user = GetUserId(); /* inside the scope it is the extension's owner */
	HbCatalogScope scope;
	HbModelRow *row = NULL;
	Oid owner;

	hb_catalog_enter_read(&scope);
	owner = hb_model_find_owner(user, name, true);
	if (OidIsValid(owner))
		row = hb_model_get(owner, name, version);
	if (row == NULL)
		hb_model_missing(user, owner, name, version);
	hb_catalog_leave(&scope);
	return row;
}

static HbPredictor *
predictor_cached(const HbModelKey *key)
{
	HbPredictorEntry *entry = hash_search(predictors, key, HASH_FIND, NULL);

	if (entry == NULL)
		return NULL;
	dlist_move_head(&by_use, &entry->predictor->use);
	return entry->predictor;
}

static void
resolution_key(HbResolutionKey *key, const char *name, int version)
{
	memset(key, 0, sizeof(*key));
	key->user = GetUserId();
	key->version = version;
	strlcpy(key->name, name, sizeof(key->name));
}

static void
resolution_keep(const HbResolutionKey *key, const HbResolution *resolution)
{
	HbResolutionEntry *entry;
	bool found;

	/* Names come and go slowly: starting over is simpler than ageing, and as good. */
	if (hash_get_num_entries(resolutions) >= HB_MAX_RESOLUTIONS)
	{
		hash_destroy(resolutions);
		resolutions = NULL;
		cache_init();
	}
	entry = hash_search(resolutions, key, HASH_ENTER, &found);
	entry->resolution = *resolution;
}

/* Rows of the catalog and intermediate lists are of use for this lookup only. */
static HbPredictor *
find_in_catalog(const char *name, int version, HbResolution *resolution)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "hyperband model lookup",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(scratch);
	HbModelRow *row;
	HbPredictor *predictor;

	resolution_stamp(resolution);
	row = resolve(name, version);
	resolution->key = key_of(row);
	predictor = predictor_cached(&resolution->key);
	if (predictor == NULL)
		predictor = predictor_load(row);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
	return predictor;
}

HbPredictor *
hb_predictor_find(const char *name, int version, HbResolution *resolution)
{
	HbResolutionKey key;
	HbResolutionEntry *entry;
	HbPredictor *predictor = NULL;

	if (strlen(name) > HB_MAX_MODEL_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("model \"%s\" does not exist", name)));
	cache_init();
	resolution_key(&key, name, version);
	entry = hash_search(resolutions, &key, HASH_FIND, NULL);
	if (entry != NULL && hb_resolution_valid(&entry->resolution))
	{
		*resolution = entry->resolution;
		predictor = predictor_cached(&resolution->key);
	}
	if (predictor == NULL)
	{
		predictor = find_in_catalog(name, version, resolution);
		resolution_keep(&key, resolution);
	}
	return predictor;
}
