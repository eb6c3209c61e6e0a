/*
 * catalog_trial.c - brackets, trials, results and checkpoints: every statement on those tables
 *
 * Results are fenced by the attempt: a trainer that was given up and answers after all changes nothing.
 * A chunk is recorded in the caller's transaction as a whole, so that a crash leaves all of it or none.
 */
#include "pg/catalog.h"

#include <math.h>

#include "utils/memutils.h"

#include "core/rng.h"
#include "pg/catalog_observations.h"
#include "pg/statement.h"

/* Version of the layout of a checkpoint, for readers of the table. */
#define HB_CHECKPOINT_FORMAT 1

/* ---- brackets and trials ---- */

void
hb_plan_store(int64 study_id, const HbPlan *plan, int64 cost, int ntrials, const HbTrialRow *trials)
{
	static HbStatement study =
		HB_WRITE("UPDATE hyperband.study SET resource_planned = $2 WHERE study_id = $1", "ll");
	static HbStatement bracket =
		HB_WRITE("INSERT INTO hyperband.bracket (study_id, bracket, trials, min_resource, rungs)"
				 " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
				 "lilli");
	static HbStatement trial =
		HB_WRITE("INSERT INTO hyperband.trial (study_id, number, bracket, config, state, resource)"
				 " VALUES ($1, $2, $3, $4, $5, $6)",
				 "llijtl");

	hb_run(&study, study_id, cost);
	for (int i = 0; i < plan->nbrackets; i++)
	{
		const HbPlanBracket *b = &plan->brackets[i];

		hb_run(&bracket, study_id, b->bracket, (int64) b->trials, (int64) b->rungs[0].resource,
			   b->nrungs);
	}
	for (int i = 0; i < ntrials; i++)
		hb_run(&trial, study_id, trials[i].number, trials[i].bracket, trials[i].config,
			   hb_trial_state_name(trials[i].state), trials[i].resource);
}

HbTrialRow *
hb_trials_get(int64 study_id, int64 after, int *ntrials)
{
	static HbStatement statement = HB_READ(
		"SELECT t.trial_id, t.number, t.bracket, t.config, t.state, coalesce(t.rung, -1),"
		" t.resource, t.attempt, t.loss, " HB_TIE_LOSS(
			"t.metrics") ","
						 " e.trial_id IS NOT NULL AND e.promoted IS NULL AND t.rung < b.rungs - 1,"
						 " t.started_seq IS NOT NULL, t.metrics"
						 " FROM hyperband.trial t"
						 " JOIN hyperband.bracket b ON b.study_id = t.study_id AND b.bracket = "
						 "t.bracket"
						 " LEFT JOIN hyperband.evaluation e ON e.trial_id = t.trial_id AND e.rung "
						 "= t.rung"
						 " WHERE t.study_id = $1 AND b.study_id = $1 AND t.number > $2"
						 " ORDER BY t.number",
		"ll");
	uint64 n = hb_run(&statement, study_id, after);
	HbTrialRow *trials = palloc0(sizeof(HbTrialRow) * Max(n, 1));

	for (uint64 i = 0; i < n; i++)
	{
		HbTrialRow *t = &trials[i];
		char *state = hb_row_text(i, 5);

		t->trial_id = hb_row_int64(i, 1);
		t->number = hb_row_int64(i, 2);
		t->bracket = (int) hb_row_int64(i, 3);
		t->config = hb_row_jsonb(i, 4);
		if (!hb_trial_state_parse(state, &t->state))
			ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
							errmsg("unrecognized trial state \"%s\"", state)));
		pfree(state);
		t->rung = (int) hb_row_int64(i, 6);
		t->resource = hb_row_int64(i, 7);
		t->attempt = (int) hb_row_int64(i, 8);
		t->loss = hb_row_float8(i, 9);
		t->tie_loss = hb_row_float8(i, 10);
		t->undecided = hb_row_bool(i, 11);
		t->begun = hb_row_bool(i, 12);
		t->metrics = hb_row_jsonb(i, 13);
	}
	*ntrials = (int) n;
	return trials;
}

HbResult *
hb_results_get(int64 study_id, int64 *nresults)
{
	static HbStatement statement =
		HB_READ("SELECT t.number, e.rung, e.loss FROM hyperband.evaluation e"
				" JOIN hyperband.trial t ON t.trial_id = e.trial_id WHERE e.study_id = $1"
				" ORDER BY e.result_seq, t.number, e.rung",
				"l");
	uint64 n = hb_run(&statement, study_id);
	HbResult *results = palloc_extended(sizeof(HbResult) * Max(n, 1), MCXT_ALLOC_HUGE);

	for (uint64 i = 0; i < n; i++)
		results[i] = (HbResult){.number = hb_row_int64(i, 1),
								.rung = (int) hb_row_int64(i, 2),
								.loss = hb_row_float8(i, 3),
								.pull = NAN};
	*nresults = (int64) n;
	return results;
}

int64
hb_log_last(int64 study_id)
{
	static HbStatement statement = HB_READ(
		"SELECT greatest((SELECT max(started_seq) FROM hyperband.trial WHERE study_id = $1),"
		" (SELECT max(greatest(seq, result_seq)) FROM hyperband.evaluation"
		" WHERE study_id = $1), 0)::bigint",
		"l");

	hb_run(&statement, study_id);
	return hb_row_int64(0, 1);
}

void
hb_log_start(int64 study_id, int64 number, int64 seq)
{
	static HbStatement statement = HB_WRITE(
		"UPDATE hyperband.trial SET started_seq = $3 WHERE study_id = $1 AND number = $2", "lli");

	hb_run(&statement, study_id, number, (int) seq);
}

/*
 * Of the study $1 those named by $2.  No index can serve IS NOT DISTINCT FROM: by the statistics of small tables one of the
 * study's would be taken, and every trial of a large study be read for each cohort.
 */
#define THESE_TRIALS " WHERE trial_id = ANY ($2) AND study_id IS NOT DISTINCT FROM $1"

void
hb_trials_start(int64 study_id, int n, const int64 *trial_ids)
{
	static HbStatement statement =
		HB_WRITE("UPDATE hyperband.trial SET state = 'running', attempt = attempt + 1,"
				 " started_at = coalesce(started_at, now())" THESE_TRIALS,
				 "lA");

	hb_run(&statement, study_id, n, trial_ids);
}

void
hb_trials_fail(int64 study_id, int n, const int64 *trial_ids, const HbStatus *error)
{
	static HbStatement statement =
		HB_WRITE("UPDATE hyperband.trial SET state = 'failed', sqlstate = $3, error = $4,"
				 " finished_at = now()" THESE_TRIALS,
				 "lAtt");

	hb_run(&statement, study_id, n, trial_ids, error->sqlstate, error->message);
}

/* ---- results ---- */

/* {"error": ..., "log_loss": ...}; what is undefined is left out. */
static Jsonb *
metrics_to_jsonb(const HbMetrics *metrics)
{
	HbJson *object = hb_json_object(&hb_host_pg);

	for (int i = 0; i < HB_METRIC_COUNT; i++)
		if (isfinite(metrics->value[i]))
			hb_json_set(&hb_host_pg, object, hb_metrics[i].name,
						hb_json_number(&hb_host_pg, metrics->value[i]));
	return hb_json_to_jsonb(object);
}

/*
 * A result of another attempt, or of a trial that was cancelled meanwhile, changes nothing.  The row is found by its key
 * alone: by study and state, which a plan made on small tables takes for as good, every trial that ever ran is met.
 */
static bool
store_trial(int64 study_id, const HbTrialRecord *record, bool evaluated, Jsonb *metrics,
			int64 *gained)
{
	static HbStatement statement = HB_WRITE(
		"WITH old AS (SELECT trial_id, study_id, attempt, state, resource FROM hyperband.trial"
		" WHERE trial_id = $1 FOR UPDATE)"
		" UPDATE hyperband.trial t SET state = $4, resource = $5,"
		" rung = CASE WHEN $6 THEN $7 ELSE t.rung END, loss = CASE WHEN $6 THEN $8 ELSE t.loss END,"
		" metrics = CASE WHEN $6 THEN $9 ELSE t.metrics END,"
		" finished_at = CASE WHEN $4 <> 'waiting' THEN now() END"
		" FROM old WHERE t.trial_id = old.trial_id AND old.study_id = $2 AND old.attempt = $3"
		" AND old.state = 'running' RETURNING t.resource - old.resource",
		"llitlbidj");
	const HbTrialResult *result = record->result;
	HbTrialState state = HB_TRIAL_WAITING;

	if (result->outcome == HB_OUTCOME_DIVERGED)
		state = HB_TRIAL_DIVERGED;
	else if (evaluated && record->last_rung)
		state = HB_TRIAL_COMPLETED;
	if (hb_run(&statement, record->trial_id, study_id, record->attempt, hb_trial_state_name(state),
			   (int64) result->resource, (int) evaluated, record->rung, result->loss, metrics) == 0)
		return false;
	*gained += record->from_scratch && result->outcome == HB_OUTCOME_TRAINED
				   ? (int64) result->resource
				   : hb_row_int64(0, 1);
	return true;
}

static void
store_evaluation(int64 study_id, const HbTrialRecord *record, Jsonb *metrics)
{
	static HbStatement statement = HB_WRITE(
		"INSERT INTO hyperband.evaluation (trial_id, rung, study_id, resource, attempt, loss,"
		" metrics, seconds, result_seq) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
		" ON CONFLICT (trial_id, rung) DO NOTHING",
		"lillidjdI");
	const HbTrialResult *result = record->result;

	hb_run(&statement, record->trial_id, record->rung, study_id, (int64) result->resource,
		   record->attempt, result->loss, metrics, result->seconds, (int) record->seq);
}

/*
 * The winner over all rung evaluations: lowest loss, then lower tie loss, larger resource, lower number (the SQL of
 * hb_result_better); NaN is stored as NULL and infinity never wins.
 */
#define BEST_EVALUATION(columns, condition)                                                        \
	"SELECT " columns " FROM hyperband.evaluation e"                                               \
	" JOIN hyperband.trial t ON t.trial_id = e.trial_id"                                           \
	" WHERE e.study_id = $1 AND e.loss < 'infinity'" condition                                     \
	" ORDER BY e.loss, " HB_TIE_LOSS("e.metrics") ", e.resource DESC, t.number LIMIT 1"

void
hb_study_progress(int64 study_id, int64 gained, int64 best_trial_id, double best_loss)
{
	static HbStatement statement =
		HB_WRITE("UPDATE hyperband.study SET resource_spent = resource_spent + $2,"
				 " best_trial_id = $3, best_loss = $4 WHERE study_id = $1",
				 "llLd");

	hb_run(&statement, study_id, gained, best_trial_id, best_loss);
}

int
hb_results_store(int64 study_id, int n, const HbTrialRecord *records, int64 *gained)
{
	MemoryContext scratch =
		AllocSetContextCreate(CurTransactionContext, "hyperband results", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);
	int accepted = 0;

	for (int i = 0; i < n; i++)
	{
		const HbTrialRecord *record = &records[i];
		bool trained = record->result->outcome == HB_OUTCOME_TRAINED;
		bool evaluated = trained && record->rung >= 0;
		Jsonb *metrics = evaluated ? metrics_to_jsonb(&record->result->metrics) : NULL;

		if (store_trial(study_id, record, evaluated, metrics, gained))
		{
			accepted++;
			if (evaluated)
				store_evaluation(study_id, record, metrics);
		}
		MemoryContextReset(scratch);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
	return accepted;
}

/* Decisions are numbered in the order they are taken, which is a function of the results alone but under asha. */
void
hb_decisions_store(int64 study_id, int n, const HbDecision *decisions, const int64 *trial_ids,
				   int64 log_seq)
{
	/* sees what this transaction decided before */
	static HbStatement last_seq = HB_WRITE(
		"SELECT coalesce(max(seq), 0)::bigint FROM hyperband.evaluation WHERE study_id = $1", "l");
	static HbStatement evaluation =
		HB_WRITE("UPDATE hyperband.evaluation SET rank = $3,"
				 " promoted = CASE WHEN $4 >= 0 THEN $4 = 1 END, seq = coalesce(seq, $5)"
				 " WHERE trial_id = $1 AND rung = $2 RETURNING seq",
				 "liiiI");
	static HbStatement trial = HB_WRITE(
		"UPDATE hyperband.trial SET state = $2, finished_at = CASE WHEN $2 NOT IN ('waiting',"
		" 'running') THEN coalesce(finished_at, now()) END WHERE trial_id = $1",
		"lt");
	int seq;

	if (n == 0)
		return;
	seq = 0;
	if (log_seq < 0)
	{
		hb_run(&last_seq, study_id);
		seq = (int) hb_row_int64(0, 1);
	}
	for (int i = 0; i < n; i++)
	{
		const HbDecision *d = &decisions[i];

		int next = log_seq < 0 ? seq + 1 : d->promoted == 1 ? (int) log_seq : 0;

		if (hb_run(&evaluation, trial_ids[i], d->rung, d->rank, d->promoted, next) > 0 &&
			log_seq < 0)
			seq = Max(seq, (int) hb_row_int64(0, 1));
		hb_run(&trial, trial_ids[i], hb_trial_state_name(d->state));
	}
}

/* A chunk that is trained again after a crash gives its points again; of two alike the later one counts. */
void
hb_curve_store(int64 study_id, int n, const int64 *trial_ids, const HbCurvePoint *points)
{
	static HbStatement statement = HB_WRITE(
		"INSERT INTO hyperband.loss_curve AS c (trial_id, resource, study_id, train_loss,"
		" validation_loss, metric_value, elapsed)"
		" SELECT DISTINCT ON (p.trial_id, p.resource) p.trial_id, p.resource, $1, p.train_loss,"
		" p.validation_loss, p.metric_value, p.elapsed"
		" FROM unnest($2, $3, $4, $5, $6, $7) WITH ORDINALITY"
		" AS p (trial_id, resource, train_loss, validation_loss, metric_value, elapsed, n)"
		" ORDER BY p.trial_id, p.resource, p.n DESC"
		" ON CONFLICT (trial_id, resource) DO UPDATE SET train_loss = excluded.train_loss,"
		" validation_loss = excluded.validation_loss, metric_value = excluded.metric_value,"
		" elapsed = excluded.elapsed",
		"lAADDDD");
	int64 *resources = palloc(sizeof(int64) * n);
	double *values = palloc(sizeof(double) * 4 * n);

	for (int i = 0; i < n; i++)
	{
		resources[i] = points[i].resource;
		values[i] = points[i].train_loss;
		values[n + i] = points[i].validation_loss;
		values[2 * n + i] = points[i].metric_value;
		values[3 * n + i] = points[i].elapsed;
	}
	hb_run(&statement, study_id, n, trial_ids, n, resources, n, values, n, values + n, n,
		   values + 2 * n, n, values + 3 * n);
	pfree(resources);
	pfree(values);
}

bool
hb_best_evaluation(int64 study_id, bool completed, int64 *trial_id, int64 *number, int *rung,
				   int64 *resource, double *loss, double *tie_loss)
{
	static HbStatement all = HB_READ(
		BEST_EVALUATION(
			"e.trial_id, t.number, e.rung, e.resource, e.loss, " HB_TIE_LOSS("e.metrics"), ""),
		"l");
	static HbStatement finished =
		HB_READ(BEST_EVALUATION(
					"e.trial_id, t.number, e.rung, e.resource, e.loss, " HB_TIE_LOSS("e.metrics"),
					" AND t.state = 'completed' AND e.rung = t.rung"),
				"l");

	if (hb_run(completed ? &finished : &all, study_id) == 0)
		return false;
	*trial_id = hb_row_int64(0, 1);
	*number = hb_row_int64(0, 2);
	*rung = (int) hb_row_int64(0, 3);
	*resource = hb_row_int64(0, 4);
	*loss = hb_row_float8(0, 5);
	*tie_loss = hb_row_float8(0, 6);
	return true;
}

/* ---- checkpoints ---- */

void *
hb_checkpoint_get(int64 trial_id, int64 resource, size_t *length)
{
	static HbStatement statement =
		HB_READ("SELECT total_bytes, crc, data, format FROM hyperband.checkpoint"
				" WHERE trial_id = $1 AND resource = $2 ORDER BY chunk",
				"ll");
	uint64 n = hb_run(&statement, trial_id, resource);
	char what[64];

	if (n == 0)
		return NULL;
	*length = (size_t) hb_row_int64(0, 1);
	snprintf(what, sizeof(what), "checkpoint of trial " INT64_FORMAT, trial_id);
	for (uint64 i = 0; i < n; i++)
		if (hb_row_int64(i, 4) != HB_CHECKPOINT_FORMAT)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED), errmsg("%s is corrupted", what),
					 errdetail("Its format " INT64_FORMAT " is not known.", hb_row_int64(i, 4))));
	return hb_join_chunks(n, *length, 2, 3, what);
}

void
hb_checkpoint_put(int64 study_id, int64 trial_id, int64 resource, const void *state, size_t length)
{
	static HbStatement statement =
		HB_WRITE("INSERT INTO hyperband.checkpoint (trial_id, resource, chunk, study_id, format,"
				 " total_bytes, crc, data) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
				 "llililly");
	size_t offset = 0;

	hb_checkpoint_delete(trial_id, resource);
	for (int chunk = 0; offset < length; chunk++)
	{
		size_t part = Min(length - offset, HB_CHUNK_BYTES);
		const char *bytes = (const char *) state + offset;
		bytea *data = hb_bytea(bytes, part);

		hb_run(&statement, trial_id, resource, chunk, study_id, HB_CHECKPOINT_FORMAT,
			   (int64) length, (int64) hb_hash64(bytes, part, 0), data);
		pfree(data);
		offset += part;
	}
}

void
hb_checkpoint_delete(int64 trial_id, int64 resource)
{
	static HbStatement statement =
		HB_WRITE("DELETE FROM hyperband.checkpoint WHERE trial_id = $1 AND resource = $2", "ll");

	hb_run(&statement, trial_id, resource);
}
