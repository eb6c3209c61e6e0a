/*
 * model.c - what a model's name means, and who may use, promote or drop it
 *
 * Models are named per owner.  A name means one's own model first, then a model of a role whose
 * privileges one has (membership counts as ownership counts for tables), then, for prediction only,
 * a model that was granted.  Managing takes the gate and ownership; it needs no superuser.
 */
#include "pg.h"

#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "predict.h"

PG_FUNCTION_INFO_V1(hyperband_grant);
PG_FUNCTION_INFO_V1(hyperband_revoke);
PG_FUNCTION_INFO_V1(hyperband_promote);
PG_FUNCTION_INFO_V1(hyperband_drop_model);

/* ---- what a name means ---- */

/* Its name, or its number where it was dropped. */
static const char *
role_name(Oid role)
{
	char *name = GetUserNameFromId(role, true);

	return name != NULL ? name : psprintf("%u", role);
}

/* Adds owner to the one candidate so far. */
static void
consider(const char *name, Oid owner, Oid *candidate)
{
	if (OidIsValid(*candidate) && *candidate != owner)
		ereport(ERROR,
				(errcode(ERRCODE_AMBIGUOUS_ALIAS), errmsg("model name \"%s\" is ambiguous", name),
				 errdetail("Roles \"%s\" and \"%s\" both have a model of that name.",
						   role_name(*candidate), role_name(owner)),
				 errhint("SET ROLE to the owner, or have one of the grants revoked.")));
	*candidate = owner;
}

Oid
hb_model_find_owner(Oid user, const char *name, bool granted)
{
	Oid candidate = InvalidOid;
	Oid *owners;
	int n = 0;

	if (hb_model_exists(user, name, 0))
		return user;
	owners = hb_model_owners(name, &n);
	for (int i = 0; i < n; i++)
		if (has_privs_of_role(user, owners[i]))
			consider(name, owners[i], &candidate);
	if (!granted)
		return candidate;

	/* A grant outlives the versions it was made for, so that a nightly study need not repeat it. */
	owners = hb_model_granting_owners(name, user, &n);
	for (int i = 0; i < n; i++)
		if (hb_model_exists(owners[i], name, 0))
			consider(name, owners[i], &candidate);
	return candidate;
}

void
hb_model_missing(Oid user, Oid owner, const char *name, int version)
{
	if (!OidIsValid(owner) && hb_study_named(name, user))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("model \"%s\" has no finished version", name)));
	if (OidIsValid(owner) && version == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("model \"%s\" has no current version", name),
						errhint("Choose one with hyperband_promote.")));
	if (OidIsValid(owner))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("version %d of model \"%s\" does not exist", version, name)));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("model \"%s\" does not exist", name),
			 errhint("Your own models are found, and those granted to you by hyperband_grant().")));
}

/* ---- managing models ---- */

static char *
required_name(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("\"%s\" must not be null", "name")));
	return text_to_cstring(PG_GETARG_TEXT_PP(0));
}

/* Who a grant is made to or taken from. */
static Oid
required_role(FunctionCallInfo fcinfo)
{
	Oid role;

	if (PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("\"%s\" must not be null", "role")));
	role = PG_GETARG_OID(1);
	return role;
}

/* regrole accepts the number of a role that does not exist. */
static void
check_role_exists(Oid role)
{
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("role with OID %u does not exist", role)));
}

static void
check_may_manage(const char *function)
{
	PreventCommandIfReadOnly(function);
	PreventCommandIfParallelMode(function);
	hb_check_gate();
}

/* The owner of the model of that name which user may manage; 42501 where it is only granted. */
static Oid
managed_owner(Oid user, const char *name)
{
	Oid owner = hb_model_find_owner(user, name, false);

	if (OidIsValid(owner))
		return owner;
	if (OidIsValid(hb_model_find_owner(user, name, true)))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("must be owner of model \"%s\"", name)));
	hb_model_missing(user, InvalidOid, name, 0);
}

/* The same, and nobody else changes the model's versions until the end of the transaction; they may have gone meanwhile. */
static Oid
managed_owner_locked(Oid user, const char *name)
{
	Oid owner = managed_owner(user, name);

	hb_lock_model_name(owner, name);
	if (!hb_model_exists(owner, name, 0))
		hb_model_missing(user, InvalidOid, name, 0);
	return owner;
}

/* hyperband_grant(name text, role regrole) RETURNS void */
Datum
hyperband_grant(PG_FUNCTION_ARGS)
{
	char *name = required_name(fcinfo);
	Oid role = required_role(fcinfo);
	Oid user = GetUserId();
	HbCatalogScope scope;

	check_may_manage("hyperband_grant()");
	check_role_exists(role);
	hb_catalog_enter(&scope);
	hb_grant_insert(managed_owner_locked(user, name), name, role);
	hb_catalog_leave(&scope);
	PG_RETURN_VOID();
}

/*
 * hyperband_revoke(name text, role regrole) RETURNS void
 *
 * Taking back what was never granted is no error, as with REVOKE; a role that is gone can be named by its
 * number, and a grant whose model is gone can still be taken back.
 */
Datum
hyperband_revoke(PG_FUNCTION_ARGS)
{
	char *name = required_name(fcinfo);
	Oid role = required_role(fcinfo);
	Oid user = GetUserId();
	HbCatalogScope scope;

	check_may_manage("hyperband_revoke()");
	hb_catalog_enter(&scope);
	if (hb_model_exists(user, name, 0) || !hb_grant_delete(user, name, role))
		(void) hb_grant_delete(managed_owner(user, name), name, role);
	hb_catalog_leave(&scope);
	PG_RETURN_VOID();
}

/* hyperband_promote(name text, version int) RETURNS boolean: whether anything changed */
Datum
hyperband_promote(PG_FUNCTION_ARGS)
{
	char *name = required_name(fcinfo);
	Oid user = GetUserId();
	HbCatalogScope scope;
	int version;
	Oid owner;
	bool changed;

	if (PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("\"%s\" must not be null", "version")));
	version = PG_GETARG_INT32(1);
	check_may_manage("hyperband_promote()");
	hb_catalog_enter(&scope);
	owner = managed_owner_locked(user, name);
	if (version < 1 || !hb_model_exists(owner, name, version))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("version %d of model \"%s\" does not exist", version, name)));
	changed = hb_model_promote(owner, name, version);
	hb_catalog_leave(&scope);
	PG_RETURN_BOOL(changed);
}

/* hyperband_drop_model(name text, version int DEFAULT NULL) RETURNS void: one version, or all of them */
Datum
hyperband_drop_model(PG_FUNCTION_ARGS)
{
	char *name = required_name(fcinfo);
	bool all = PG_ARGISNULL(1);
	int version = all ? 0 : PG_GETARG_INT32(1);
	Oid user = GetUserId();
	HbCatalogScope scope;
	Oid owner;

	check_may_manage("hyperband_drop_model()");
	hb_catalog_enter(&scope);
	owner = managed_owner_locked(user, name);
	if (!all && (version < 1 || !hb_model_exists(owner, name, version)))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("version %d of model \"%s\" does not exist", version, name)));
	(void) hb_model_delete(owner, name, version);
	hb_catalog_leave(&scope);
	PG_RETURN_VOID();
}
