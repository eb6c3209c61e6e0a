/*
 * external.c - hyperband_ask and hyperband_tell
 *
 * Both act on studies of roles whose privileges the caller has.  Where a worker has no lease, the session that asked is
 * the worker: it holds a session lock for as long as it is connected.
 */
#include "pg/external.h"

#include <math.h>

#include "access/xlog.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "pg/request.h"

PG_FUNCTION_INFO_V1(hyperband_ask);
PG_FUNCTION_INFO_V1(hyperband_tell);

#define HB_MAX_ASKED 10000

static void
no_study(int64 study_id)
{
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
					errmsg("study %lld does not exist", (long long) study_id)));
}

static void
no_trial(int64 trial_id)
{
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
					errmsg("trial %lld does not exist", (long long) trial_id)));
}

/* A function's own workers alone are given its trials. */
static void
check_kind(const HbExternal *study)
{
	if (study->function)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("study %lld takes no workers", (long long) study->study_id),
				 errdetail("Its objective is evaluated in the server."),
				 errhint("Studies that take workers are made by hyperband_create_study().")));
}

/* False: the study is done, and there is nothing to ask for. */
static bool
check_state(const HbExternal *study, const HbTurn *turn)
{
	const char *state = turn->state;

	if (strcmp(state, "running") == 0 && turn->system_identifier != (int64) GetSystemIdentifier())
		state = "interrupted";
	if (strcmp(state, "running") == 0)
		return true;
	if (strcmp(state, "done") == 0)
		return false;
	if (strcmp(state, "failed") == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("study %lld is failed", (long long) study->study_id),
						errhint("hyperband_wait() raises the error that it failed with.")));
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("study %lld is %s", (long long) study->study_id, state),
					strcmp(state, "interrupted") == 0 || strcmp(state, "cancelled") == 0
						? errhint("Go on with it by hyperband_resume().")
						: 0));
	pg_unreachable();
}

/* The study under its lock, in a scope that this enters; one remembered under an id that was given again is read anew. */
static HbExternal *
begin(int64 study_id, HbCatalogScope *scope, HbTurn *turn)
{
	for (int tries = 0; tries < 2; tries++)
	{
		HbExternal *study = hb_external_open(study_id);

		if (study == NULL)
			return NULL;
		check_kind(study);
		hb_catalog_enter(scope);
		if (hb_turn_begin(study, turn))
			return study;
		hb_catalog_leave(scope);
		hb_external_forget(study);
	}
	return NULL;
}

static void
put_handout(ReturnSetInfo *result, const HbHandout *handout)
{
	Datum values[5];
	bool nulls[5] = {false};

	values[0] = Int64GetDatum(handout->trial_id);
	values[1] = Int32GetDatum(handout->attempt);
	values[2] = JsonbPGetDatum(handout->config);
	values[3] = Int32GetDatum((int32) handout->from_resource);
	values[4] = Int32GetDatum((int32) handout->to_resource);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
hyperband_ask(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	HbCatalogScope scope;
	HbExternal *study;
	HbTurn turn;
	HbHandout *handouts;
	int given = 0;
	int n;

	hb_require_writable("hyperband_ask()");
	hb_check_gate();
	hb_require_argument(fcinfo, 0, "study");
	hb_require_argument(fcinfo, 1, "n");
	n = PG_GETARG_INT32(1);
	if (n < 1 || n > HB_MAX_ASKED)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"n\" must be between 1 and %d", HB_MAX_ASKED)));
	handouts = palloc0(sizeof(HbHandout) * n);
	study = begin(PG_GETARG_INT64(0), &scope, &turn);
	if (study == NULL)
		no_study(PG_GETARG_INT64(0));
	if (check_state(study, &turn))
	{
		given = hb_turn_ask(study, &turn, study->lease > 0 ? 0 : hb_worker_self(), n, handouts);
		hb_turn_end(study, &turn);
	}
	hb_catalog_leave(&scope);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < given; i++)
		put_handout(result, &handouts[i]);
	return (Datum) 0;
}

static int64
study_of(int64 trial_id)
{
	HbCatalogScope scope;
	int64 study_id;

	hb_catalog_enter(&scope);
	study_id = hb_trial_study(trial_id);
	hb_catalog_leave(&scope);
	if (study_id == 0)
		no_trial(trial_id);
	return study_id;
}

/* Those that break ties are compared as floats; what is no number breaks none. */
static void
check_metrics(Jsonb *metrics)
{
	static const char *const names[] = {"log_loss", "rmse"};

	if (!JB_ROOT_IS_OBJECT(metrics))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"metrics\" must be a JSON object")));
	for (int i = 0; i < lengthof(names); i++)
	{
		JsonbValue buffer;
		JsonbValue *value =
			getKeyJsonValueFromContainer(&metrics->root, names[i], strlen(names[i]), &buffer);

		/* raises 22003 where a float would be infinite, or 0 though the number is not */
		if (value != NULL && value->type == jbvNumeric)
			(void) DirectFunctionCall1(numeric_float8, NumericGetDatum(value->val.numeric));
	}
}

Datum
hyperband_tell(PG_FUNCTION_ARGS)
{
	HbCatalogScope scope;
	HbExternal *study;
	HbTurn turn;
	Jsonb *metrics = NULL;
	int64 trial_id;

	hb_require_writable("hyperband_tell()");
	hb_check_gate();
	hb_require_argument(fcinfo, 0, "trial_id");
	hb_require_argument(fcinfo, 1, "attempt");
	hb_require_argument(fcinfo, 2, "resource");
	hb_require_argument(fcinfo, 3, "loss");
	if (!PG_ARGISNULL(4))
		metrics = PG_GETARG_JSONB_P(4);
	if (metrics != NULL)
		check_metrics(metrics);
	trial_id = PG_GETARG_INT64(0);
	study = begin(study_of(trial_id), &scope, &turn);
	if (study == NULL)
		no_trial(trial_id);
	hb_turn_tell(study, &turn, trial_id, PG_GETARG_INT32(1), PG_GETARG_INT32(2),
				 PG_GETARG_FLOAT8(3), metrics);
	hb_turn_end(study, &turn);
	hb_catalog_leave(&scope);
	PG_RETURN_VOID();
}
