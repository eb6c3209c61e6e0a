/*
 * compat.h - the one place that knows PostgreSQL's versions (15 to 18)
 */
#ifndef HB_COMPAT_H
#define HB_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000
#error "hyperband needs PostgreSQL 15 or later"
#endif

/* 16 took the macros of varlena values out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 17 has one more timeout. */
#define HB_HAS_TRANSACTION_TIMEOUT (PG_VERSION_NUM >= 170000)

/* 16 moved the ACL checks of single catalogs into object_aclcheck. */
#include "utils/acl.h"
#if PG_VERSION_NUM >= 160000
#include "catalog/pg_namespace.h"
#define hb_namespace_aclcheck(oid, role, mode)                                                     \
	object_aclcheck(NamespaceRelationId, (oid), (role), (mode))
#else
#define hb_namespace_aclcheck(oid, role, mode) pg_namespace_aclcheck((oid), (role), (mode))
#endif

#if PG_VERSION_NUM >= 160000
#include "catalog/pg_proc.h"
#define hb_function_aclcheck(oid, role, mode)                                                      \
	object_aclcheck(ProcedureRelationId, (oid), (role), (mode))
#else
#define hb_function_aclcheck(oid, role, mode) pg_proc_aclcheck((oid), (role), (mode))
#endif

#if PG_VERSION_NUM >= 160000
#include "catalog/pg_database.h"
#define hb_database_aclcheck(oid, role, mode)                                                      \
	object_aclcheck(DatabaseRelationId, (oid), (role), (mode))
#else
#define hb_database_aclcheck(oid, role, mode) pg_database_aclcheck((oid), (role), (mode))
#endif

/* 17 gave WaitEventSets a resource owner. */
#if PG_VERSION_NUM >= 170000
#include "utils/resowner.h"
#define hb_create_wait_event_set(context, n) CreateWaitEventSet(CurrentResourceOwner, (n))
#else
#define hb_create_wait_event_set(context, n) CreateWaitEventSet((context), (n))
#endif

/* 18 dropped the argument that says a portal is run once. Needs executor/executor.h. */
#if PG_VERSION_NUM >= 180000
#define hb_executor_run(descriptor) ExecutorRun((descriptor), ForwardScanDirection, 0)
#else
#define hb_executor_run(descriptor) ExecutorRun((descriptor), ForwardScanDirection, 0, true)
#endif

/* 16 gave the parser of qualified names an error context. Needs utils/regproc.h. */
#if PG_VERSION_NUM >= 160000
#define hb_qualified_name_list(name) stringToQualifiedNameList((name), NULL)
#else
#define hb_qualified_name_list(name) stringToQualifiedNameList(name)
#endif

/* 17 can ask for stronger locks, too. Needs storage/lock.h. */
#if PG_VERSION_NUM >= 170000
#define hb_lock_held_by_me(tag, mode) LockHeldByMe((tag), (mode), false)
#else
#define hb_lock_held_by_me(tag, mode) LockHeldByMe((tag), (mode))
#endif

/* 18 counts what a scan of an index does. Needs access/genam.h. */
#if PG_VERSION_NUM >= 180000
#define hb_index_beginscan(table, index, snapshot, nkeys)                                          \
	index_beginscan((table), (index), (snapshot), NULL, (nkeys), 0)
#else
#define hb_index_beginscan(table, index, snapshot, nkeys)                                          \
	index_beginscan((table), (index), (snapshot), (nkeys), 0)
#endif

#endif /* HB_COMPAT_H */
