/*
 * catalog_model.c - model versions, their bytes and grants: every statement on those tables
 *
 * Every change sends a relation cache invalidation of hyperband.model, so that each session's decoded models notice it.
 */
#include "pg/catalog.h"

#include <math.h>

#include "utils/inval.h"
#include "utils/lsyscache.h"

#include "core/rng.h"
#include "pg/statement.h"

/* ---- noticing changes ---- */

static uint64 generation = 1;
static Oid model_relation = InvalidOid;

static void
model_invalidated(Datum argument, Oid relation)
{
	if (relation != InvalidOid && relation != model_relation)
		return;
	generation++;
	/* Looked up anew: the extension may have been made again. */
	model_relation = InvalidOid;
}

static Oid
find_model_relation(void)
{
	Oid schema = hb_catalog_schema();

	return OidIsValid(schema) ? get_relname_relid("model", schema) : InvalidOid;
}

uint64
hb_model_generation(void)
{
	static bool registered = false;

	if (!registered)
	{
		CacheRegisterRelcacheCallback(model_invalidated, (Datum) 0);
		registered = true;
	}
	if (!OidIsValid(model_relation))
	{
		/* What is invalidated during the lookup is covered by counting after it. */
		model_relation = find_model_relation();
		generation++;
	}
	return generation;
}

static void
models_changed(void)
{
	Oid relation = find_model_relation();

	if (OidIsValid(relation))
		CacheInvalidateRelcacheByRelid(relation);
}

/* ---- versions ---- */

static void
clear_current(Oid owner, const char *name)
{
	static HbStatement statement = HB_WRITE("UPDATE hyperband.model SET is_current = false"
											" WHERE owner = $1 AND name = $2 AND is_current",
											"ot");

	hb_run(&statement, owner, name);
}

static void
insert_bytes(int64 model_id, const void *bytes, size_t total)
{
	static HbStatement statement = HB_WRITE(
		"INSERT INTO hyperband.model_data (model_id, chunk, data) VALUES ($1, $2, $3)", "liy");
	size_t offset = 0;

	for (int chunk = 0; offset < total; chunk++)
	{
		size_t length = Min(total - offset, HB_CHUNK_BYTES);
		bytea *data = hb_bytea((const char *) bytes + offset, length);

		hb_run(&statement, model_id, chunk, data);
		pfree(data);
		offset += length;
	}
}

int64
hb_model_insert(HbModelRow *m, const void *bytes, size_t length, bool make_current)
{
	static HbStatement version = HB_READ("SELECT coalesce(max(version), 0) + 1 FROM hyperband.model"
										 " WHERE owner = $1 AND name = $2",
										 "ot");
	static HbStatement insert = HB_WRITE(
		"INSERT INTO hyperband.model (owner, name, version, is_current, study_id, trial_id, family,"
		" task, features, feature_types, labels, encoder, metric, loss, metrics, test_metrics,"
		" resource, split_key, format, total_bytes, crc) VALUES ($1, $2, $3, $4, $5, $6, $7, $8,"
		" $9, $10, $11, $12, $13, $14, coalesce($15, '{}'), $16, $17, $18, $19, $20, $21)"
		" RETURNING model_id, created_at",
		"otibLLttaaajtdjjlyill");

	hb_lock_model_name(m->owner, m->name);
	hb_run(&version, m->owner, m->name);
	m->version = (int) hb_row_int64(0, 1);
	m->is_current = make_current;
	m->total_bytes = (int64) length;
	m->crc = (int64) hb_hash64(bytes, length, 0);
	if (make_current)
		clear_current(m->owner, m->name);
	hb_run(&insert, m->owner, m->name, m->version, (int) m->is_current, m->study_id, m->trial_id,
		   m->family, m->task, m->features, m->feature_types, m->labels, m->encoder, m->metric,
		   m->loss, m->metrics, m->test_metrics, m->resource, m->split_key, m->format,
		   m->total_bytes, m->crc);
	m->model_id = hb_row_int64(0, 1);
	m->created_at = hb_row_time(0, 2);
	insert_bytes(m->model_id, bytes, length);
	models_changed();
	return m->model_id;
}

#define MODEL_COLUMNS                                                                              \
	"model_id, owner, name, version, is_current, study_id, trial_id, family, task, features,"      \
	" feature_types, labels, encoder, metric, loss, metrics, test_metrics, resource, split_key,"   \
	" format, total_bytes, crc, created_at"

static HbModelRow *
model_from_row(void)
{
	HbModelRow *m = palloc0(sizeof(HbModelRow));
	int c = 0;

	m->model_id = hb_row_int64(0, ++c);
	m->owner = hb_row_oid(0, ++c);
	m->name = hb_row_text(0, ++c);
	m->version = (int) hb_row_int64(0, ++c);
	m->is_current = hb_row_bool(0, ++c);
	m->study_id = hb_row_int64(0, ++c);
	m->trial_id = hb_row_int64(0, ++c);
	m->family = hb_row_text(0, ++c);
	m->task = hb_row_text(0, ++c);
	m->features = hb_row_texts(0, ++c);
	m->feature_types = hb_row_texts(0, ++c);
	m->labels = hb_row_texts(0, ++c);
	m->encoder = hb_row_jsonb(0, ++c);
	m->metric = hb_row_text(0, ++c);
	m->loss = hb_row_float8(0, ++c);
	m->metrics = hb_row_jsonb(0, ++c);
	m->test_metrics = hb_row_jsonb(0, ++c);
	m->resource = hb_row_int64(0, ++c);
	m->split_key = hb_row_bytea(0, ++c);
	m->format = (int) hb_row_int64(0, ++c);
	m->total_bytes = hb_row_int64(0, ++c);
	m->crc = hb_row_int64(0, ++c);
	m->created_at = hb_row_time(0, ++c);
	return m;
}

HbModelRow *
hb_model_get(Oid owner, const char *name, int version)
{
	static HbStatement current = HB_READ("SELECT " MODEL_COLUMNS " FROM hyperband.model"
										 " WHERE owner = $1 AND name = $2 AND is_current",
										 "ot");
	static HbStatement numbered = HB_READ("SELECT " MODEL_COLUMNS " FROM hyperband.model"
										  " WHERE owner = $1 AND name = $2 AND version = $3",
										  "oti");
	uint64 n =
		version == 0 ? hb_run(&current, owner, name) : hb_run(&numbered, owner, name, version);

	return n == 0 ? NULL : model_from_row();
}

HbModelRow *
hb_model_get_by_id(int64 model_id)
{
	static HbStatement statement =
		HB_READ("SELECT " MODEL_COLUMNS " FROM hyperband.model WHERE model_id = $1", "l");

	return hb_run(&statement, model_id) == 0 ? NULL : model_from_row();
}

void *
hb_model_bytes(const HbModelRow *model)
{
	static HbStatement statement =
		HB_READ("SELECT data FROM hyperband.model_data WHERE model_id = $1 ORDER BY chunk", "l");
	uint64 n = hb_run(&statement, model->model_id);
	char what[64];
	void *bytes;

	snprintf(what, sizeof(what), "model " INT64_FORMAT, model->model_id);
	if (model->format != HB_MODEL_FORMAT)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("%s is corrupted", what),
						errdetail("Its format %d is not known.", model->format)));
	bytes = hb_join_chunks(n, (size_t) Max(model->total_bytes, 0), 0, 1, what);
	if (hb_hash64(bytes, (size_t) model->total_bytes, 0) != (uint64) model->crc)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("%s is corrupted", what),
						errdetail("Its checksum does not match.")));
	return bytes;
}

bool
hb_model_promote(Oid owner, const char *name, int version)
{
	static HbStatement statement = HB_WRITE("UPDATE hyperband.model SET is_current = true"
											" WHERE owner = $1 AND name = $2 AND version = $3",
											"oti");
	static HbStatement current =
		HB_READ("SELECT FROM hyperband.model"
				" WHERE owner = $1 AND name = $2 AND version = $3 AND is_current",
				"oti");

	hb_lock_model_name(owner, name);
	if (hb_run(&current, owner, name, version) > 0)
		return false;
	clear_current(owner, name);
	hb_run(&statement, owner, name, version);
	models_changed();
	return true;
}

/* Where the current version went, the latest that is left takes its place. */
static void
ensure_current(Oid owner, const char *name)
{
	static HbStatement statement = HB_WRITE(
		"UPDATE hyperband.model m SET is_current = true WHERE m.owner = $1 AND m.name = $2"
		" AND m.version = (SELECT max(version) FROM hyperband.model WHERE owner = $1 AND name = $2)"
		" AND NOT EXISTS (SELECT FROM hyperband.model"
		" WHERE owner = $1 AND name = $2 AND is_current)",
		"ot");

	hb_run(&statement, owner, name);
}

/* With the last version go the grants: a later model of that name is another one. */
int
hb_model_delete(Oid owner, const char *name, int version)
{
	static HbStatement models =
		HB_WRITE("DELETE FROM hyperband.model"
				 " WHERE owner = $1 AND name = $2 AND ($3 = 0 OR version = $3)",
				 "oti");
	static HbStatement grants =
		HB_WRITE("DELETE FROM hyperband.model_grant WHERE owner = $1 AND name = $2", "ot");
	int deleted;

	hb_lock_model_name(owner, name);
	deleted = (int) hb_run(&models, owner, name, version);
	if (deleted > 0 && !hb_model_exists(owner, name, 0))
		hb_run(&grants, owner, name);
	else if (deleted > 0)
		ensure_current(owner, name);
	models_changed();
	return deleted;
}

bool
hb_model_exists(Oid owner, const char *name, int version)
{
	static HbStatement statement =
		HB_READ("SELECT FROM hyperband.model"
				" WHERE owner = $1 AND name = $2 AND ($3 = 0 OR version = $3) LIMIT 1",
				"oti");

	return hb_run(&statement, owner, name, version) > 0;
}

/* Owners in the first column of the last run. */
static Oid *
owners_of_rows(uint64 rows, int *n)
{
	Oid *owners = palloc(sizeof(Oid) * Max(rows, 1));

	for (uint64 i = 0; i < rows; i++)
		owners[i] = hb_row_oid(i, 1);
	*n = (int) rows;
	return owners;
}

Oid *
hb_model_owners(const char *name, int *n)
{
	static HbStatement statement =
		HB_READ("SELECT DISTINCT owner::oid FROM hyperband.model WHERE name = $1 ORDER BY 1", "t");

	return owners_of_rows(hb_run(&statement, name), n);
}

bool
hb_study_named(const char *name, Oid role)
{
	static HbStatement statement =
		HB_READ("SELECT FROM hyperband.study"
				" WHERE name = $1 AND pg_has_role($2, owner, 'USAGE') LIMIT 1",
				"to");

	return hb_run(&statement, name, role) > 0;
}

/* ---- grants ---- */

Oid *
hb_model_granting_owners(const char *name, Oid role, int *n)
{
	static HbStatement statement =
		HB_READ("SELECT DISTINCT g.owner::oid FROM hyperband.model_grant g"
				" WHERE g.name = $1 AND g.owner <> $2 AND pg_has_role($2, g.grantee, 'USAGE')"
				" ORDER BY 1",
				"to");

	return owners_of_rows(hb_run(&statement, name, role), n);
}

void
hb_grant_insert(Oid owner, const char *name, Oid grantee)
{
	static HbStatement statement =
		HB_WRITE("INSERT INTO hyperband.model_grant (owner, name, grantee) VALUES ($1, $2, $3)"
				 " ON CONFLICT DO NOTHING",
				 "oto");

	hb_run(&statement, owner, name, grantee);
	models_changed();
}

bool
hb_grant_delete(Oid owner, const char *name, Oid grantee)
{
	static HbStatement statement = HB_WRITE("DELETE FROM hyperband.model_grant"
											" WHERE owner = $1 AND name = $2 AND grantee = $3",
											"oto");
	bool deleted = hb_run(&statement, owner, name, grantee) > 0;

	models_changed();
	return deleted;
}
