/*
 * catalog_external.c - trials that others train: what is not done at every ask and tell (catalog_turn.c)
 *
 * Everything here but the end of a rung or of a study is a fixed number of steps in indexes, whatever the number of
 * trials.  Callers hold the study's lock, and what they read must show what they just wrote: so reads are HB_WRITE
 * statements, which take a new snapshot, or, in a transaction that keeps its first one, fail with 40001 where the
 * turn was changed by another.
 */
#include "pg/catalog.h"

#include <math.h>

#include "access/xact.h"

#include "pg/catalog_observations.h"
#include "pg/external.h"
#include "pg/statement.h"

/* ---- studies ---- */

void
hb_turn_insert(int64 study_id)
{
	static HbStatement statement =
		HB_WRITE("INSERT INTO hyperband.turn (study_id) VALUES ($1)", "l");

	hb_run(&statement, study_id);
}

void
hb_external_start(int64 study_id)
{
	static HbStatement statement =
		HB_WRITE("UPDATE hyperband.study SET state = 'running', finished_at = NULL,"
				 " started_at = coalesce(started_at, now()), run_at = now(),"
				 " run_from = resource_spent WHERE study_id = $1",
				 "l");

	hb_run(&statement, study_id);
}

/* ---- hand-outs ---- */

/* A lease of no microseconds is none. */
#define LEASE_END(lease)                                                                           \
	"CASE WHEN " lease " > 0 THEN clock_timestamp() + " lease " * interval '1 microsecond' END"

void
hb_handout_take(const HbHandout *handout, int64 worker, int64 lease)
{
	static HbStatement statement =
		HB_WRITE("UPDATE hyperband.handout SET attempt = $2, worker = $3, asked_at = now(),"
				 " lease_until = " LEASE_END("$4") " WHERE trial_id = $1",
				 "liLl");

	hb_run(&statement, handout->trial_id, handout->attempt, worker, lease);
}

void
hb_handout_delete(int64 trial_id)
{
	static HbStatement statement =
		HB_WRITE("DELETE FROM hyperband.handout WHERE trial_id = $1", "l");

	hb_run(&statement, trial_id);
}

void
hb_lease_renew(int64 trial_id, int64 lease)
{
	static HbStatement statement =
		HB_WRITE("UPDATE hyperband.handout SET lease_until = " LEASE_END(
					 "$2") " WHERE trial_id = $1 AND lease_until IS NOT NULL",
				 "ll");

	hb_run(&statement, trial_id, lease);
}

void
hb_handouts_clear(int64 study_id)
{
	static HbStatement handouts =
		HB_WRITE("DELETE FROM hyperband.handout WHERE study_id = $1", "l");
	static HbStatement queue = HB_WRITE("DELETE FROM hyperband.queue WHERE study_id = $1", "l");

	hb_run(&handouts, study_id);
	hb_run(&queue, study_id);
}

void
hb_handouts_forgive(int64 study_id)
{
	static HbStatement statement =
		HB_WRITE("UPDATE hyperband.handout SET losses = 0 WHERE study_id = $1 AND losses > 0", "l");

	hb_run(&statement, study_id);
}

int64 *
hb_handout_workers(int64 study_id, int *n)
{
	static HbStatement statement = HB_WRITE("SELECT DISTINCT worker FROM hyperband.handout"
											" WHERE study_id = $1 AND worker IS NOT NULL",
											"l");
	uint64 rows = hb_run(&statement, study_id);
	int64 *workers = palloc(sizeof(int64) * Max(rows, 1));

	for (uint64 i = 0; i < rows; i++)
		workers[i] = hb_row_int64(i, 1);
	*n = (int) rows;
	return workers;
}

int64 *
hb_handouts_lose(int64 study_id, int64 worker, bool all, int **losses, int *n)
{
	static HbStatement statement =
		HB_WRITE("WITH lost AS (UPDATE hyperband.handout SET worker = NULL, lease_until = NULL,"
				 " losses = losses + 1 WHERE study_id = $1 AND (worker IS NOT NULL OR lease_until "
				 "IS NOT NULL)"
				 " AND CASE WHEN $3 THEN true WHEN $2 <> 0 THEN worker = $2"
				 " ELSE lease_until < clock_timestamp() END RETURNING trial_id, losses),"
				 " waits AS (UPDATE hyperband.trial t SET state = 'waiting' FROM lost"
				 " WHERE t.trial_id = lost.trial_id AND t.state = 'running')"
				 " SELECT trial_id, losses FROM lost ORDER BY trial_id",
				 "llb");
	uint64 rows = hb_run(&statement, study_id, worker, (int) all);
	int64 *trial_ids = palloc(sizeof(int64) * Max(rows, 1));

	*losses = palloc(sizeof(int) * Max(rows, 1));
	for (uint64 i = 0; i < rows; i++)
	{
		trial_ids[i] = hb_row_int64(i, 1);
		(*losses)[i] = (int) hb_row_int64(i, 2);
	}
	*n = (int) rows;
	return trial_ids;
}

/* ---- the queue ---- */

void
hb_queue_remove(int64 study_id, int64 head, int64 trial_id)
{
	static HbStatement statement = HB_WRITE("DELETE FROM hyperband.queue WHERE study_id = $1"
											" AND place >= $2 AND trial_id = $3",
											"lll");

	hb_run(&statement, study_id, head, trial_id);
}

/* ---- results ---- */

bool
hb_result_get(int64 trial_id, int64 resource, double *loss, Jsonb **metrics)
{
	static HbStatement statement = HB_WRITE("SELECT loss, metrics FROM hyperband.evaluation"
											" WHERE trial_id = $1 AND resource = $2",
											"ll");

	if (hb_run(&statement, trial_id, resource) == 0)
		return false;
	*loss = hb_row_float8(0, 1);
	*metrics = hb_row_jsonb(0, 2);
	return true;
}

bool
hb_point_get(int64 trial_id, int64 resource, double *value)
{
	static HbStatement statement = HB_WRITE("SELECT metric_value FROM hyperband.loss_curve"
											" WHERE trial_id = $1 AND resource = $2",
											"ll");

	if (hb_run(&statement, trial_id, resource) == 0)
		return false;
	*value = hb_row_float8(0, 1);
	return true;
}

void
hb_point_insert(int64 study_id, int64 trial_id, int64 resource, double loss, double value,
				double seconds)
{
	static HbStatement statement =
		HB_WRITE("INSERT INTO hyperband.loss_curve (trial_id, resource, study_id, validation_loss,"
				 " metric_value, elapsed) VALUES ($1, $2, $3, $4, $5, $6)"
				 " ON CONFLICT (trial_id, resource) DO UPDATE SET validation_loss = "
				 "excluded.validation_loss,"
				 " metric_value = excluded.metric_value, elapsed = excluded.elapsed",
				 "lllddd");

	hb_run(&statement, trial_id, resource, study_id, loss, value, seconds);
}

void
hb_trial_end(int64 trial_id, const char *state, const HbStatus *error)
{
	static HbStatement statement =
		HB_WRITE("UPDATE hyperband.trial SET state = $2, sqlstate = $3, error = $4,"
				 " finished_at = now() WHERE trial_id = $1",
				 "lttt");

	hb_run(&statement, trial_id, state, error ? error->sqlstate : NULL,
		   error ? error->message : NULL);
}

/* The winner's rule once more, with its ties. */
bool
hb_study_choose_best(int64 study_id, bool completed)
{
	static HbStatement statement =
		HB_WRITE("UPDATE hyperband.study s SET best_trial_id = b.trial_id, best_loss = b.loss"
				 " FROM (SELECT e.trial_id, e.loss FROM hyperband.evaluation e"
				 " JOIN hyperband.trial t ON t.trial_id = e.trial_id"
				 " WHERE e.study_id = $1 AND e.loss < 'infinity'"
				 " AND (NOT $2 OR t.state = 'completed' AND e.rung = t.rung)"
				 " ORDER BY e.loss, " HB_TIE_LOSS("e.metrics") ", e.resource DESC, t.number"
															   " LIMIT 1) b WHERE s.study_id = $1",
				 "lb");

	return hb_run(&statement, study_id, (int) completed) > 0;
}

bool
hb_study_failure(int64 study_id, HbStatus *error)
{
	static HbStatement statement =
		HB_WRITE("SELECT sqlstate, error FROM hyperband.trial WHERE study_id = $1"
				 " AND state = 'failed' AND sqlstate IS NOT NULL ORDER BY number LIMIT 1",
				 "l");

	if (hb_run(&statement, study_id) == 0)
		return false;
	hb_status_init(error);
	hb_fail(error, hb_row_text(0, 1), "%s", hb_row_text(0, 2));
	return true;
}

/* ---- rungs ---- */

HbTrialRow *
hb_trials_between(int64 study_id, int64 first, int64 last, int *n)
{
	static HbStatement statement =
		HB_WRITE("SELECT trial_id, number, state, coalesce(rung, -1), resource, loss"
				 " FROM hyperband.trial WHERE study_id = $1 AND number BETWEEN $2 AND $3"
				 " ORDER BY number",
				 "lll");
	uint64 rows = hb_run(&statement, study_id, first, last);
	HbTrialRow *trials = palloc0(sizeof(HbTrialRow) * Max(rows, 1));

	for (uint64 i = 0; i < rows; i++)
	{
		char *state = hb_row_text(i, 3);

		trials[i].trial_id = hb_row_int64(i, 1);
		trials[i].number = hb_row_int64(i, 2);
		if (!hb_trial_state_parse(state, &trials[i].state))
			ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
							errmsg("unrecognized trial state \"%s\"", state)));
		pfree(state);
		trials[i].rung = (int) hb_row_int64(i, 4);
		trials[i].resource = hb_row_int64(i, 5);
		trials[i].loss = hb_row_float8(i, 6);
	}
	*n = (int) rows;
	return trials;
}

HbRecorded *
hb_results_between(int64 study_id, int64 first, int64 last, int *n)
{
	static HbStatement statement =
		HB_WRITE("SELECT t.number, e.rung, e.resource, e.loss FROM hyperband.trial t"
				 " JOIN hyperband.evaluation e ON e.trial_id = t.trial_id"
				 " WHERE t.study_id = $1 AND t.number BETWEEN $2 AND $3 ORDER BY t.number, e.rung",
				 "lll");
	uint64 rows = hb_run(&statement, study_id, first, last);
	HbRecorded *results = palloc(sizeof(HbRecorded) * Max(rows, 1));

	for (uint64 i = 0; i < rows; i++)
		results[i] = (HbRecorded){.number = hb_row_int64(i, 1),
								  .rung = (int) hb_row_int64(i, 2),
								  .resource = hb_row_int64(i, 3),
								  .loss = hb_row_float8(i, 4)};
	*n = (int) rows;
	return results;
}

/* Those promoted wait already. */
void
hb_decided(int n, const int64 *trial_ids, int rung, const int64 *ranks, const int64 *promoted,
		   const int64 *completed, int seq)
{
	static HbStatement evaluation =
		HB_WRITE("UPDATE hyperband.evaluation e SET rank = d.rank, seq = $5 + d.place,"
				 " promoted = CASE WHEN d.promoted >= 0 THEN d.promoted = 1 END"
				 " FROM unnest($1, $3, $4) WITH ORDINALITY d(trial_id, rank, promoted, place)"
				 " WHERE e.trial_id = d.trial_id AND e.rung = $2",
				 "AiAAi");
	static HbStatement trial =
		HB_WRITE("UPDATE hyperband.trial t SET state = CASE d.completed WHEN 1 THEN 'completed'"
				 " ELSE 'stopped' END, finished_at = now()"
				 " FROM unnest($1, $2, $3) d(trial_id, promoted, completed)"
				 " WHERE t.trial_id = d.trial_id AND d.promoted <> 1",
				 "AAA");

	hb_run(&evaluation, n, trial_ids, rung, n, ranks, n, promoted, seq);
	hb_run(&trial, n, trial_ids, n, promoted, n, completed);
}

/* ---- orders of asha ---- */

static HbPlace
place_from_row(uint64 rows)
{
	HbPlace none = {NAN, 0};

	if (rows == 0)
		return none;
	return (HbPlace){hb_row_float8(0, 1), hb_row_int64(0, 2)};
}

HbPlace
hb_place_first(int64 study_id, int rung)
{
	static HbStatement statement =
		HB_WRITE("SELECT loss, trial_id FROM hyperband.evaluation"
				 " WHERE study_id = $1 AND rung = $2 ORDER BY loss, trial_id LIMIT 1",
				 "li");

	return place_from_row(hb_run(&statement, study_id, rung));
}

HbPlace
hb_place_before(int64 study_id, int rung, HbPlace place)
{
	static HbStatement statement =
		HB_WRITE("SELECT loss, trial_id FROM hyperband.evaluation WHERE study_id = $1 AND rung = $2"
				 " AND (loss, trial_id) < ($3, $4) ORDER BY loss DESC, trial_id DESC LIMIT 1",
				 "lidl");

	return place_from_row(hb_run(&statement, study_id, rung, place.loss, place.trial_id));
}

HbPlace
hb_place_after(int64 study_id, int rung, HbPlace place)
{
	static HbStatement statement =
		HB_WRITE("SELECT loss, trial_id FROM hyperband.evaluation WHERE study_id = $1 AND rung = $2"
				 " AND (loss, trial_id) > ($3, $4) ORDER BY loss, trial_id LIMIT 1",
				 "lidl");

	return place_from_row(hb_run(&statement, study_id, rung, place.loss, place.trial_id));
}

/* The highest rung whose best trial not promoted is among its best results/eta. */
bool
hb_asha_candidate(int64 study_id, int last_rung, int64 *trial_id, int *rung)
{
	static HbStatement statement = HB_WRITE(
		"SELECT u.trial_id, r.rung FROM hyperband.rung r CROSS JOIN LATERAL"
		" (SELECT e.loss, e.trial_id FROM hyperband.evaluation e WHERE e.study_id = $1"
		" AND e.rung = r.rung AND e.promoted IS NULL"
		" AND (e.loss, e.trial_id) >= (r.open_loss, r.open_trial)"
		" ORDER BY e.loss, e.trial_id LIMIT 1) u"
		" WHERE r.study_id = $1 AND r.bracket = 0 AND r.rung < $2 AND r.cut_trial IS NOT NULL"
		" AND (u.loss, u.trial_id) <= (r.cut_loss, r.cut_trial) ORDER BY r.rung DESC LIMIT 1",
		"li");

	if (hb_run(&statement, study_id, last_rung) == 0)
		return false;
	*trial_id = hb_row_int64(0, 1);
	*rung = (int) hb_row_int64(0, 2);
	return true;
}

/* All before the one promoted were promoted before it. */
void
hb_asha_promote(int64 study_id, int64 trial_id, int rung, int seq)
{
	static HbStatement evaluation =
		HB_WRITE("UPDATE hyperband.evaluation SET promoted = true, seq = $3"
				 " WHERE trial_id = $1 AND rung = $2",
				 "lii");
	static HbStatement bound =
		HB_WRITE("UPDATE hyperband.rung r SET open_loss = e.loss, open_trial = e.trial_id"
				 " FROM hyperband.evaluation e WHERE e.trial_id = $2 AND e.rung = $3"
				 " AND r.study_id = $1 AND r.bracket = 0 AND r.rung = $3",
				 "lli");

	hb_run(&evaluation, trial_id, rung, seq);
	hb_run(&bound, study_id, trial_id, rung);
}

void
hb_asha_close_study(int64 study_id, int last_rung)
{
	static HbStatement evaluation = HB_WRITE(
		"UPDATE hyperband.evaluation e SET rank = r.rank,"
		" promoted = CASE WHEN e.rung < $2 THEN coalesce(e.promoted, false) END"
		" FROM (SELECT trial_id, rung, row_number() OVER (PARTITION BY rung"
		" ORDER BY loss, trial_id) AS rank FROM hyperband.evaluation WHERE study_id = $1) r"
		" WHERE e.trial_id = r.trial_id AND e.rung = r.rung",
		"li");
	static HbStatement trial =
		HB_WRITE("UPDATE hyperband.trial SET state = 'stopped', finished_at = now()"
				 " WHERE study_id = $1 AND state = 'waiting' AND rung IS NOT NULL",
				 "l");

	hb_run(&evaluation, study_id, last_rung);
	hb_run(&trial, study_id);
}

/* ---- what a sampler learns from ---- */

static HbObservation *
observations_from_rows(uint64 rows, int *n)
{
	HbObservation *observations = palloc0(sizeof(HbObservation) * Max(rows, 1));

	for (uint64 i = 0; i < rows; i++)
	{
		observations[i].number = hb_row_int64(i, 1);
		observations[i].resource = hb_row_int64(i, 2);
		observations[i].loss = hb_row_float8(i, 3);
		observations[i].config = hb_json_from_jsonb(hb_row_jsonb(i, 4));
	}
	*n = (int) rows;
	return observations;
}

HbObservation *
hb_observations_get(int64 study_id, int64 last, int *n)
{
	static HbStatement statement = HB_WRITE(HB_OBSERVATIONS_QUERY("$1", "$2"), "ll");

	return observations_from_rows(hb_run(&statement, study_id, last), n);
}

/* Failures in between come after the resource that they reached. */
HbObservation *
hb_observations_above(int64 study_id, int rung, int64 reached, int *n)
{
	static HbStatement statement =
		HB_WRITE("SELECT t.number, e.resource, e.loss, t.config FROM hyperband.evaluation e"
				 " JOIN hyperband.trial t ON t.trial_id = e.trial_id"
				 " WHERE e.study_id = $1 AND e.rung >= $2 UNION ALL"
				 " SELECT t.number, t.resource + 1, NULL, t.config FROM hyperband.trial t"
				 " WHERE t.study_id = $1 AND t.rung IS NOT NULL AND t.resource >= $3"
				 " AND t.state IN ('diverged', 'failed') ORDER BY 1, 2",
				 "lil");

	return observations_from_rows(hb_run(&statement, study_id, rung, reached), n);
}

const HbJson **
hb_pending_get(int64 study_id, int64 after, bool evaluated, int *n)
{
	static HbStatement statement = HB_WRITE(
		"SELECT config FROM hyperband.trial WHERE study_id = $1 AND number > $2"
		" AND ($3 OR rung IS NULL AND state NOT IN ('diverged', 'failed')) ORDER BY number",
		"llb");
	uint64 rows = hb_run(&statement, study_id, after, (int) evaluated);
	const HbJson **pending = palloc(sizeof(HbJson *) * Max(rows, 1));

	for (uint64 i = 0; i < rows; i++)
		pending[i] = hb_json_from_jsonb(hb_row_jsonb(i, 1));
	*n = (int) rows;
	return pending;
}

/* ---- recorded curves ---- */

/* A trial that diverged or failed has a last point without a loss, above all that it reached. */
int64
hb_curves_get(int64 study_id, int64 **numbers, int64 **resources, double **losses)
{
	static HbStatement statement = HB_WRITE(
		"WITH point AS (SELECT t.trial_id, t.number, p.resource, p.loss FROM hyperband.study s"
		" JOIN hyperband.trial t ON t.study_id = s.study_id CROSS JOIN LATERAL"
		" (SELECT e.resource, e.loss FROM hyperband.evaluation e WHERE e.trial_id = t.trial_id"
		" UNION ALL SELECT c.resource, CASE s.direction WHEN 'maximize' THEN - c.metric_value"
		" ELSE c.metric_value END FROM hyperband.loss_curve c"
		" WHERE c.trial_id = t.trial_id AND c.metric_value IS NOT NULL AND NOT EXISTS (SELECT"
		" FROM hyperband.evaluation e WHERE e.trial_id = c.trial_id AND e.resource = c.resource))"
		" p WHERE s.study_id = $1)"
		" SELECT number, resource, loss FROM point UNION ALL"
		" SELECT t.number, greatest(t.resource, max(p.resource)) + 1, NULL FROM hyperband.trial t"
		" LEFT JOIN point p ON p.trial_id = t.trial_id WHERE t.study_id = $1"
		" AND t.state IN ('diverged', 'failed') GROUP BY t.trial_id ORDER BY 1, 2",
		"l");
	uint64 rows = hb_run(&statement, study_id);

	*numbers = palloc(sizeof(int64) * Max(rows, 1));
	*resources = palloc(sizeof(int64) * Max(rows, 1));
	*losses = palloc(sizeof(double) * Max(rows, 1));
	for (uint64 i = 0; i < rows; i++)
	{
		(*numbers)[i] = hb_row_int64(i, 1);
		(*resources)[i] = hb_row_int64(i, 2);
		(*losses)[i] = hb_row_float8(i, 3);
	}
	return (int64) rows;
}
