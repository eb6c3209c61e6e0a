/*
 * load_check.c - what can be known of a training relation before it is read
 *
 * The relation's kind, the current user's rights, the columns and their types.  hyperband_tune calls
 * it at once, and the load itself calls it again: either may be refused meanwhile.
 */
#include "pg/load_internal.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/syscache.h"

static void
check_request(const HbLoadRequest *request)
{
	int n = 0;

	if (!(request->validation > 0.0 && request->validation < 1.0))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" must be between 0 and 1", "validation")));
	if (!(request->test >= 0.0 && request->test < 1.0))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" must be between 0 and 1", "test")));
	while (request->features != NULL && request->features[n] != NULL)
		n++;
	if (n > HB_MAX_FEATURES)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS), errmsg("too many features"),
				 errdetail("Found %d columns, at most %d can be used.", n, HB_MAX_FEATURES)));
}

static int
parse_task(const char *task)
{
	if (task == NULL)
		return -1;
	if (strcmp(task, "classification") == 0)
		return HB_TASK_CLASSIFICATION;
	if (strcmp(task, "regression") == 0)
		return HB_TASK_REGRESSION;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unrecognized task \"%s\"", task),
			 errhint("Available tasks are classification and regression.")));
	return -1;
}

/* Locks the relation before it looks at it: what is found holds until the transaction ends. */
static Relation
open_relation(const HbLoadRequest *request)
{
	Relation relation;

	LockRelationOid(request->relation, AccessShareLock);
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(request->relation)))
	{
		UnlockRelationOid(request->relation, AccessShareLock);
		if (request->relation_name != NULL)
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
							errmsg("relation \"%s\" does not exist", request->relation_name)));
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", request->relation)));
	}
	relation = relation_open(request->relation, NoLock);
	switch (relation->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_VIEW:
		case RELKIND_MATVIEW:
		case RELKIND_FOREIGN_TABLE:
			break;
		default:
			ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
							errmsg("\"%s\" is not a table, view or materialized view",
								   RelationGetRelationName(relation))));
	}
	return relation;
}

static void
check_relation(Relation relation)
{
	if (relation->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot train on temporary table \"%s\"",
							   RelationGetRelationName(relation)),
						errhint("Copy the data into a regular table.")));
	if (relation->rd_rel->relkind == RELKIND_MATVIEW && !RelationIsScannable(relation))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("materialized view \"%s\" has not been populated",
							   RelationGetRelationName(relation)),
						errhint("Use the REFRESH MATERIALIZED VIEW command.")));
}

/* The columns that a value is made for: primary key, identity, serial. */
static bool
is_key(Relation relation, Form_pg_attribute attribute, Bitmapset *primary, List *sequences)
{
	ListCell *cell;

	if (bms_is_member(attribute->attnum - FirstLowInvalidHeapAttributeNumber, primary) ||
		attribute->attidentity != '\0')
		return true;
	foreach (cell, sequences)
	{
		Oid owner;
		int32 column;

		if (attribute->atthasdef &&
			sequenceIsOwned(lfirst_oid(cell), DEPENDENCY_AUTO, &owner, &column) &&
			owner == RelationGetRelid(relation) && column == attribute->attnum)
			return true;
	}
	return false;
}

static char **
default_features(Relation relation, const char *target, List **left_out)
{
	TupleDesc descriptor = RelationGetDescr(relation);
	char **names = palloc0(sizeof(char *) * (descriptor->natts + 1));
	Oid constraint;
	Bitmapset *primary = get_primary_key_attnos(RelationGetRelid(relation), true, &constraint);
	List *sequences = getOwnedSequences(RelationGetRelid(relation));
	int n = 0;

	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
		char *name;

		if (attribute->attisdropped || strcmp(NameStr(attribute->attname), target) == 0)
			continue;
		name = pstrdup(NameStr(attribute->attname));
		if (is_key(relation, attribute, primary, sequences))
			*left_out = lappend(*left_out, name);
		else
			names[n++] = name;
	}
	return names;
}

/* Name and types of a column; 42703 where there is none. */
static AttrNumber
find_column(Relation relation, const char *name, HbLoadField *field)
{
	TupleDesc descriptor = RelationGetDescr(relation);

	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);

		if (attribute->attisdropped || strcmp(NameStr(attribute->attname), name) != 0)
			continue;
		field->name = pstrdup(name);
		field->attribute = attribute->attnum;
		field->declared = attribute->atttypid;
		field->type = getBaseType(attribute->atttypid);
		return attribute->attnum;
	}
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
					errmsg("column \"%s\" of relation \"%s\" does not exist", name,
						   RelationGetRelationName(relation))));
	return InvalidAttrNumber;
}

static void
check_duplicates(char **names, const char *target)
{
	for (int i = 0; names[i] != NULL; i++)
	{
		bool twice = strcmp(names[i], target) == 0;

		for (int j = 0; j < i && !twice; j++)
			twice = strcmp(names[i], names[j]) == 0;
		if (twice)
			ereport(ERROR, (errcode(ERRCODE_DUPLICATE_COLUMN),
							errmsg("column \"%s\" specified more than once", names[i])));
	}
}

/* SELECT on the relation or on each column, and USAGE on its schema, as a query would need. */
static void
check_rights(Relation relation, int n, const AttrNumber *attributes)
{
	Oid user = GetUserId();
	Oid schema = RelationGetNamespace(relation);
	AclResult result = hb_namespace_aclcheck(schema, user, ACL_USAGE);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_SCHEMA, get_namespace_name(schema));
	if (pg_class_aclcheck(RelationGetRelid(relation), user, ACL_SELECT) == ACLCHECK_OK)
		return;
	for (int i = 0; i < n; i++)
	{
		result = pg_attribute_aclcheck(RelationGetRelid(relation), attributes[i], user, ACL_SELECT);
		if (result != ACLCHECK_OK)
			aclcheck_error(result, get_relkind_objtype(relation->rd_rel->relkind),
						   RelationGetRelationName(relation));
	}
}

static void
check_feature_type(HbLoadField *field, bool own_list)
{
	if (hb_field_kind(field->type, &field->kind))
		return;
	ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
					errmsg("column \"%s\" has type %s, which cannot be used as a feature",
						   field->name, format_type_be(field->declared)),
					own_list ? errhint("List the columns to train on in \"features\".") : 0));
}

static HbTargetKind
check_target_type(HbLoadField *field, int task)
{
	HbTargetKind kind;

	switch (field->type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return HB_TARGET_INTEGER;
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
			kind = HB_TARGET_NUMBER;
			break;
		default:
			if (!hb_field_kind(field->type, &field->kind) || field->kind != HB_COLUMN_CATEGORY)
				ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
								errmsg("column \"%s\" has type %s, which cannot be a target",
									   field->name, format_type_be(field->declared))));
			kind = HB_TARGET_LABEL;
	}
	if (kind == HB_TARGET_NUMBER && task == HB_TASK_CLASSIFICATION)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("column \"%s\" has type %s, which cannot be used for classification",
							   field->name, format_type_be(field->declared)),
						errhint("Cast it to text or integer in a view.")));
	if (kind == HB_TARGET_LABEL && task == HB_TASK_REGRESSION)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("column \"%s\" has type %s, which cannot be used for regression",
							   field->name, format_type_be(field->declared))));
	return kind;
}

static void
resolve_columns(Relation relation, const HbLoadRequest *request, HbLoadPlan *plan)
{
	char **names = request->features;
	AttrNumber *attributes;
	AttrNumber target = find_column(relation, request->target, &plan->target);

	plan->own_list = names == NULL;
	if (names == NULL)
		names = default_features(relation, request->target, &plan->left_out);
	check_duplicates(names, request->target);
	while (names[plan->nfields] != NULL)
		plan->nfields++;
	if (plan->nfields == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("relation \"%s\" has no columns to train on", plan->relation_name)));
	plan->fields = palloc0(sizeof(HbLoadField) * plan->nfields);
	attributes = palloc(sizeof(AttrNumber) * (plan->nfields + 1));
	attributes[plan->nfields] = target;
	for (int i = 0; i < plan->nfields; i++)
		attributes[i] = find_column(relation, names[i], &plan->fields[i]);
	check_rights(relation, plan->nfields + 1, attributes);
	for (int i = 0; i < plan->nfields; i++)
		check_feature_type(&plan->fields[i], plan->own_list);
	plan->target_kind = check_target_type(&plan->target, plan->task);
}

HbLoadPlan *
hb_load_resolve(const HbLoadRequest *request)
{
	HbLoadPlan *plan = palloc0(sizeof(HbLoadPlan));
	Relation relation;

	check_request(request);
	plan->task = parse_task(request->task);
	relation = open_relation(request);
	plan->relation = request->relation;
	plan->relation_name = pstrdup(RelationGetRelationName(relation));
	plan->qualified = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
												 plan->relation_name);
	check_relation(relation);
	resolve_columns(relation, request, plan);
	plan->row_security = check_enable_rls(plan->relation, InvalidOid, false) == RLS_ENABLED;
	relation_close(relation, NoLock);
	return plan;
}

static void
append_names(StringInfo text, const char *prefix, char **names)
{
	for (int i = 0; names[i] != NULL; i++)
		appendStringInfo(text, "%s%s", i == 0 ? prefix : ", ", quote_identifier(names[i]));
}

/* What a user who named no features should know. */
static char *
describe_features(const HbLoadPlan *plan, char **used)
{
	StringInfoData text;
	ListCell *cell;
	const char *separator = "; left out: ";

	initStringInfo(&text);
	append_names(&text, "training on columns: ", used);
	foreach (cell, plan->left_out)
	{
		appendStringInfo(&text, "%s%s", separator, quote_identifier(lfirst(cell)));
		separator = ", ";
	}
	return text.data;
}

char **
hb_load_check(const HbLoadRequest *request, List **notices)
{
	HbLoadPlan *plan = hb_load_resolve(request);
	char **used = palloc0(sizeof(char *) * (plan->nfields + 1));

	for (int i = 0; i < plan->nfields; i++)
		used[i] = plan->fields[i].name;
	if (plan->own_list)
		*notices = lappend(*notices, describe_features(plan, used));
	if (plan->row_security)
		*notices = lappend(*notices, psprintf("training uses only rows visible to role \"%s\"",
											  GetUserNameFromId(GetUserId(), false)));
	return used;
}
