/*
 * simulate.c - hyperband_simulate: a study's recorded curves under another scheduler, without training
 */
#include "pg/external.h"

#include <math.h>

#include "funcapi.h"
#include "miscadmin.h"
#include "tune/simulate.h"
#include "utils/builtins.h"

#include "pg/control.h"
#include "pg/request.h"

PG_FUNCTION_INFO_V1(hyperband_simulate);

enum
{
	ARG_STUDY,
	ARG_SCHEDULER,
	ARG_ETA,
	ARG_SEED,
	ARG_OPTIONS
};

/* Points come by trial and resource; longest: the largest resource with a loss, 0 where none has one. */
static HbCurve *
read_curves(int64 study_id, int64 *ncurves, int64 *longest)
{
	HbCatalogScope scope;
	HbCurve *curves;
	int64 *numbers;
	int64 *resources;
	double *losses;
	int64 n;

	hb_catalog_enter(&scope);
	n = hb_curves_get(study_id, &numbers, &resources, &losses);
	hb_catalog_leave(&scope);
	curves = palloc0(sizeof(HbCurve) * Max(n, 1));
	*ncurves = 0;
	*longest = 0;
	for (int64 i = 0; i < n; i++)
	{
		HbCurve *curve;

		if (i == 0 || numbers[i] != numbers[i - 1])
		{
			curve = &curves[(*ncurves)++];
			curve->resources = resources + i;
			curve->losses = losses + i;
		}
		curve = &curves[*ncurves - 1];
		curve->npoints++;
		if (!isnan(losses[i]))
			*longest = Max(*longest, resources[i]);
	}
	return curves;
}

static void
check_ended(HbStudyRow *study)
{
	const char *state = hb_shown_state(&study);

	if (strcmp(state, "queued") == 0 || strcmp(state, "running") == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("study %lld is %s", (long long) study->study_id, state),
						errhint("Wait for it with hyperband_wait().")));
}

static const HbScheduler *
find_scheduler(FunctionCallInfo fcinfo)
{
	const HbScheduler *scheduler;
	HbStatus status;

	hb_status_init(&status);
	hb_require_argument(fcinfo, ARG_SCHEDULER, "scheduler");
	scheduler = hb_scheduler_find(text_to_cstring(PG_GETARG_TEXT_PP(ARG_SCHEDULER)), &status);
	if (scheduler == NULL)
		hb_raise(&status);
	return scheduler;
}

static void
put_step(ReturnSetInfo *result, const HbSimulationStep *step)
{
	Datum values[3];
	bool nulls[3] = {false};

	values[0] = Int64GetDatum(step->resource_spent);
	values[1] = Float8GetDatum(step->best_loss);
	values[2] = Float8GetDatum(step->regret);
	nulls[1] = isnan(step->best_loss);
	nulls[2] = isnan(step->regret);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
hyperband_simulate(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	HbSimulationRequest request = {0};
	HbSimulation simulation = {0};
	HbOptions options;
	HbStudyRow *study;
	HbStatus status;
	int64 longest;

	hb_check_gate();
	hb_require_argument(fcinfo, ARG_STUDY, "study");
	hb_require_argument(fcinfo, ARG_ETA, "eta");
	hb_options_parse_for(PG_ARGISNULL(ARG_OPTIONS) ? NULL : PG_GETARG_JSONB_P(ARG_OPTIONS),
						 HB_OPTIONS_SIMULATE, &options);
	request.scheduler = find_scheduler(fcinfo);
	study = hb_visible_study(PG_GETARG_INT64(ARG_STUDY));
	check_ended(study);
	request.curves = read_curves(study->study_id, &request.ncurves, &longest);
	if (longest == 0)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("study %lld has no recorded results", (long long) study->study_id)));
	request.seed = (uint64) hb_seed_argument(fcinfo, ARG_SEED);
	request.budget = options.budget;
	request.from_scratch = hb_resource_from_scratch(study->resource);
	request.means = strcmp(study->kind, "table") == 0 && strcmp(study->resource, "folds") == 0;
	request.plan.max_resource = study->max_resource > 0 ? study->max_resource : longest;
	request.plan.min_resource = study->min_resource;
	request.plan.eta = PG_GETARG_INT32(ARG_ETA);
	request.plan.n_trials = options.n_trials;
	request.plan.ceil = options.rounding_ceil;
	hb_status_init(&status);
	if (!hb_plan_check(&request.plan, &status) ||
		!hb_simulate(&hb_host_pg, &request, &simulation, &status))
		hb_raise(&status);
	if (simulation.inexact > 0)
		ereport(NOTICE, (errmsg("%lld losses were not recorded at the resource looked up",
								(long long) simulation.inexact),
						 errdetail("The last one recorded before it was taken, or the first.")));
	InitMaterializedSRF(fcinfo, 0);
	for (int64 i = 0; i < simulation.nsteps; i++)
		put_step(result, &simulation.steps[i]);
	return (Datum) 0;
}
