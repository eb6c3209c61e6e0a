/*
 * race.c - hyperband.race: the arms of a study under racing, each with the intervals that decide about it
 *
 * The numbers are those of the scheduler itself (tune/racing.h), computed from the recorded rows whenever somebody looks.
 * It reads what the statement sees that calls it, so that view racing_audit shows studies and arms of one moment.
 */
#include "pg.h"

#include <math.h>

#include "funcapi.h"
#include "tune/racing.h"
#include "utils/builtins.h"

#include "pg/control.h"

PG_FUNCTION_INFO_V1(hb_sql_race);

/* A race as it is recorded: its trials by number, and all results. */
typedef struct Race
{
	HbTrialRow *rows;
	int n;
	HbPlan plan;
	HbStudyState state;
} Race;

static void
build_views(Race *race)
{
	race->plan.trials = race->n;
	race->state.plan = &race->plan;
	race->state.ntrials = race->n;
	race->state.trials = palloc0(sizeof(HbTrialView) * Max(race->n, 1));
	for (int i = 0; i < race->n; i++)
	{
		if (race->rows[i].number != i + 1)
			ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
							errmsg("records of the study's trials contradict each other"),
							errdetail("Trial %d is missing.", i + 1)));
		race->state.trials[i] = (HbTrialView){.number = i + 1,
											  .rung = race->rows[i].rung,
											  .resource = race->rows[i].resource,
											  .state = race->rows[i].state,
											  .loss = race->rows[i].loss,
											  .tie_loss = NAN};
	}
}

/* Each pull alone, from the means after it and before it; results come by number and rung. */
static void
separate_pulls(HbResult *results, int64 n)
{
	for (int64 i = 0; i < n; i++)
	{
		bool follows = i > 0 && results[i - 1].number == results[i].number;

		results[i].pull =
			hb_racing_pull(results[i].loss, follows ? results[i - 1].loss : 0, results[i].rung + 1);
	}
}

/* False: the study is no race. Raises 42704 where the caller may not see it. */
static bool
read_race(int64 study_id, Race *race)
{
	HbCatalogScope scope;
	HbStudyRow *study;
	HbResult *results;

	memset(race, 0, sizeof(*race));
	hb_catalog_enter_read(&scope);
	study = hb_study_get(study_id);
	hb_catalog_leave(&scope);
	hb_require_visible(study, study_id);
	if (strcmp(study->scheduler, "racing") != 0)
		return false;
	hb_catalog_enter_read(&scope);
	race->rows = hb_trials_get(study_id, 0, &race->n);
	results = hb_results_get(study_id, &race->state.nresults);
	hb_catalog_leave(&scope);
	build_views(race);
	separate_pulls(results, race->state.nresults);
	race->state.results = results;
	return true;
}

static void
put_number(Datum *values, bool *nulls, int column, double number)
{
	values[column] = Float8GetDatum(number);
	nulls[column] = isnan(number);
}

static void
put_arm(ReturnSetInfo *result, const HbTrialRow *row, const HbRacingArm *arm)
{
	Datum values[8];
	bool nulls[8] = {false};

	values[0] = Int64GetDatum(row->trial_id);
	values[1] = Int32GetDatum((int32) arm->number);
	values[2] = Int32GetDatum((int32) arm->pulls);
	put_number(values, nulls, 3, arm->mean);
	put_number(values, nulls, 4, arm->bound);
	put_number(values, nulls, 5, arm->difference);
	put_number(values, nulls, 6, arm->difference_bound);
	values[7] = CStringGetTextDatum(hb_trial_state_name(row->state));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
hb_sql_race(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	HbRacingArm *arms;
	HbStatus status;
	Race race;
	int64 n = 0;

	hb_check_gate();
	InitMaterializedSRF(fcinfo, 0);
	if (!read_race(PG_GETARG_INT64(0), &race))
		return (Datum) 0;
	arms = palloc(sizeof(HbRacingArm) * Max(race.n, 1));
	hb_status_init(&status);
	if (!hb_racing_report(&hb_host_pg, &race.state, arms, &n, &status))
		hb_raise(&status);
	for (int64 i = 0; i < n; i++)
		put_arm(result, &race.rows[arms[i].number - 1], &arms[i]);
	return (Datum) 0;
}
