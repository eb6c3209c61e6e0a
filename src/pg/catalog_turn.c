/*
 * catalog_turn.c - the rows that each ask and each tell reads and writes, one by one by their primary keys
 *
 * Callers hold the study's lock, and hb_turn_get() locks the study's row as a foreign key does, so that it stays
 * until the transaction ends: rows below it need no further check.  The same holds for a trial that is changed.
 */
#include "pg/catalog.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "pg/external.h"
#include "pg/run.h"
#include "pg/tuple.h"

enum
{
	STUDY_ID,
	STUDY_STATE,
	STUDY_CREATED_AT,
	STUDY_SYSTEM_IDENTIFIER,
	STUDY_RUN_AT,
	STUDY_TIME_LIMIT,
	STUDY_RESOURCE_SPENT,
	STUDY_BEST_TRIAL_ID,
	STUDY_BEST_LOSS
};

static HbTable study_table = {"study",
							  1,
							  {{"study_id", INT8OID},
							   {"state", TEXTOID},
							   {"created_at", TIMESTAMPTZOID},
							   {"system_identifier", INT8OID},
							   {"run_at", TIMESTAMPTZOID},
							   {"time_limit", INTERVALOID},
							   {"resource_spent", INT8OID},
							   {"best_trial_id", INT8OID},
							   {"best_loss", FLOAT8OID}}};

enum
{
	TURN_STUDY_ID,
	TURN_DRAWN,
	TURN_EXHAUSTED,
	TURN_OPEN_BRACKETS,
	TURN_OUTSTANDING,
	TURN_HEAD,
	TURN_TAIL,
	TURN_SEQ,
	TURN_CHECKED_AT
};

static HbTable turn_table = {"turn",
							 1,
							 {{"study_id", INT8OID},
							  {"drawn", INT4OID},
							  {"exhausted", BOOLOID},
							  {"open_brackets", INT4OID},
							  {"outstanding", INT4OID},
							  {"head", INT8OID},
							  {"tail", INT8OID},
							  {"seq", INT4OID},
							  {"checked_at", TIMESTAMPTZOID}}};

enum
{
	TRIAL_ID,
	TRIAL_STUDY_ID,
	TRIAL_NUMBER,
	TRIAL_BRACKET,
	TRIAL_CONFIG,
	TRIAL_STATE,
	TRIAL_RUNG,
	TRIAL_RESOURCE,
	TRIAL_ATTEMPT,
	TRIAL_STARTED_SEQ,
	TRIAL_LOSS,
	TRIAL_METRICS,
	TRIAL_STARTED_AT,
	TRIAL_FINISHED_AT
};

static HbTable trial_table = {"trial",
							  1,
							  {{"trial_id", INT8OID},
							   {"study_id", INT8OID},
							   {"number", INT4OID},
							   {"bracket", INT4OID},
							   {"config", JSONBOID},
							   {"state", TEXTOID},
							   {"rung", INT4OID},
							   {"resource", INT4OID},
							   {"attempt", INT4OID},
							   {"started_seq", INT4OID},
							   {"loss", FLOAT8OID},
							   {"metrics", JSONBOID},
							   {"started_at", TIMESTAMPTZOID},
							   {"finished_at", TIMESTAMPTZOID}}};

enum
{
	HANDOUT_TRIAL_ID,
	HANDOUT_STUDY_ID,
	HANDOUT_ATTEMPT,
	HANDOUT_RUNG,
	HANDOUT_FROM_RESOURCE,
	HANDOUT_TO_RESOURCE,
	HANDOUT_WORKER,
	HANDOUT_LEASE_UNTIL,
	HANDOUT_LOSSES,
	HANDOUT_ASKED_AT
};

static HbTable handout_table = {"handout",
								1,
								{{"trial_id", INT8OID},
								 {"study_id", INT8OID},
								 {"attempt", INT4OID},
								 {"rung", INT4OID},
								 {"from_resource", INT4OID},
								 {"to_resource", INT4OID},
								 {"worker", INT8OID},
								 {"lease_until", TIMESTAMPTZOID},
								 {"losses", INT4OID},
								 {"asked_at", TIMESTAMPTZOID}}};

enum
{
	EVALUATION_TRIAL_ID,
	EVALUATION_RUNG,
	EVALUATION_STUDY_ID,
	EVALUATION_RESOURCE,
	EVALUATION_ATTEMPT,
	EVALUATION_RESULT_SEQ,
	EVALUATION_LOSS,
	EVALUATION_METRICS,
	EVALUATION_SECONDS,
	EVALUATION_RECORDED_AT
};

static HbTable evaluation_table = {"evaluation",
								   2,
								   {{"trial_id", INT8OID},
									{"rung", INT4OID},
									{"study_id", INT8OID},
									{"resource", INT4OID},
									{"attempt", INT4OID},
									{"result_seq", INT4OID},
									{"loss", FLOAT8OID},
									{"metrics", JSONBOID},
									{"seconds", FLOAT8OID},
									{"recorded_at", TIMESTAMPTZOID}}};

enum
{
	CURVE_TRIAL_ID,
	CURVE_RESOURCE,
	CURVE_STUDY_ID,
	CURVE_VALIDATION_LOSS,
	CURVE_METRIC_VALUE,
	CURVE_ELAPSED
};

static HbTable curve_table = {"loss_curve",
							  2,
							  {{"trial_id", INT8OID},
							   {"resource", INT4OID},
							   {"study_id", INT8OID},
							   {"validation_loss", FLOAT8OID},
							   {"metric_value", FLOAT8OID},
							   {"elapsed", FLOAT8OID}}};

enum
{
	RUNG_STUDY_ID,
	RUNG_BRACKET,
	RUNG_RUNG,
	RUNG_RESOURCE,
	RUNG_TRIALS,
	RUNG_RESULTS,
	RUNG_ENDED,
	RUNG_CUT_LOSS,
	RUNG_CUT_TRIAL,
	RUNG_OPEN_LOSS,
	RUNG_OPEN_TRIAL
};

static HbTable rung_table = {"rung",
							 3,
							 {{"study_id", INT8OID},
							  {"bracket", INT4OID},
							  {"rung", INT4OID},
							  {"resource", INT4OID},
							  {"trials", INT4OID},
							  {"results", INT4OID},
							  {"ended", INT4OID},
							  {"cut_loss", FLOAT8OID},
							  {"cut_trial", INT8OID},
							  {"open_loss", FLOAT8OID},
							  {"open_trial", INT8OID}}};

enum
{
	BRACKET_STUDY_ID,
	BRACKET_BRACKET,
	BRACKET_TRIALS,
	BRACKET_MIN_RESOURCE,
	BRACKET_RUNGS
};

static HbTable bracket_table = {"bracket",
								2,
								{{"study_id", INT8OID},
								 {"bracket", INT4OID},
								 {"trials", INT4OID},
								 {"min_resource", INT4OID},
								 {"rungs", INT4OID}}};

enum
{
	QUEUE_STUDY_ID,
	QUEUE_PLACE,
	QUEUE_TRIAL_ID
};

static HbTable queue_table = {
	"queue", 2, {{"study_id", INT8OID}, {"place", INT8OID}, {"trial_id", INT8OID}}};

static void
set_int(HbTuple *tuple, int column, int value)
{
	hb_tuple_set(tuple, column, Int32GetDatum(value));
}

static void
set_bigint(HbTuple *tuple, int column, int64 value)
{
	hb_tuple_set(tuple, column, Int64GetDatum(value));
}

static void
set_time(HbTuple *tuple, int column, TimestampTz value)
{
	hb_tuple_set(tuple, column, TimestampTzGetDatum(value));
}

/* ---- turns ---- */

static TimestampTz
deadline_of(const HbTuple *study)
{
	if (study->nulls[STUDY_RUN_AT] || study->nulls[STUDY_TIME_LIMIT])
		return 0;
	return hb_run_deadline(DatumGetIntervalP(study->values[STUDY_TIME_LIMIT]),
						   DatumGetTimestampTz(study->values[STUDY_RUN_AT]));
}

/*
 * A transaction that keeps its first snapshot is told at once that another has had a turn since.  All others see what
 * the last one left, since they took the study's lock before they looked.
 */
bool
hb_turn_get(int64 study_id, HbTurn *turn)
{
	HbTupleLock lock = IsolationUsesXactSnapshot() ? HB_TUPLE_CHANGE : HB_TUPLE_READ;
	HbTuple study;
	HbTuple row;

	if (!hb_tuple_find(&study, &study_table, HB_TUPLE_REFER, &study_id))
		return false;
	if (!hb_tuple_find(&row, &turn_table, lock, &study_id))
	{
		hb_tuple_forget(&study);
		return false;
	}
	turn->state = hb_tuple_text(&study, STUDY_STATE);
	turn->created_at = hb_tuple_time(&study, STUDY_CREATED_AT);
	turn->system_identifier = hb_tuple_int64(&study, STUDY_SYSTEM_IDENTIFIER);
	turn->deadline = deadline_of(&study);
	turn->drawn = hb_tuple_int64(&row, TURN_DRAWN);
	turn->exhausted = hb_tuple_bool(&row, TURN_EXHAUSTED);
	turn->open_brackets = (int) hb_tuple_int64(&row, TURN_OPEN_BRACKETS);
	turn->outstanding = (int) hb_tuple_int64(&row, TURN_OUTSTANDING);
	turn->head = hb_tuple_int64(&row, TURN_HEAD);
	turn->tail = hb_tuple_int64(&row, TURN_TAIL);
	turn->seq = (int) hb_tuple_int64(&row, TURN_SEQ);
	turn->checked_at = hb_tuple_time(&row, TURN_CHECKED_AT);
	hb_tuple_forget(&study);
	hb_tuple_forget(&row);
	return true;
}

void
hb_turn_set(int64 study_id, const HbTurn *turn)
{
	HbTuple row;

	if (!hb_tuple_find(&row, &turn_table, HB_TUPLE_CHANGE, &study_id))
		return;
	set_int(&row, TURN_DRAWN, (int) turn->drawn);
	hb_tuple_set(&row, TURN_EXHAUSTED, BoolGetDatum(turn->exhausted));
	set_int(&row, TURN_OPEN_BRACKETS, turn->open_brackets);
	set_int(&row, TURN_OUTSTANDING, turn->outstanding);
	set_bigint(&row, TURN_HEAD, turn->head);
	set_bigint(&row, TURN_TAIL, turn->tail);
	set_int(&row, TURN_SEQ, turn->seq);
	if (turn->checked_at == 0)
		set_time(&row, TURN_CHECKED_AT, GetCurrentTimestamp());
	hb_tuple_update(&row);
}

/* loss NaN: only the resource counts. */
void
hb_study_gain(int64 study_id, int64 gained, int64 trial_id, double loss)
{
	HbTuple study;

	if (!hb_tuple_find(&study, &study_table, HB_TUPLE_CHANGE, &study_id))
		return;
	set_bigint(&study, STUDY_RESOURCE_SPENT, hb_tuple_int64(&study, STUDY_RESOURCE_SPENT) + gained);
	if (!isnan(loss) && !(loss >= hb_tuple_float8(&study, STUDY_BEST_LOSS)))
	{
		set_bigint(&study, STUDY_BEST_TRIAL_ID, trial_id);
		hb_tuple_set_float8(&study, STUDY_BEST_LOSS, loss);
	}
	hb_tuple_update(&study);
}

/* ---- trials ---- */

static void
trial_dropped(int64 trial_id)
{
	ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					errmsg("trial %lld was dropped", (long long) trial_id)));
}

static HbTrialState
state_of(const HbTuple *trial)
{
	char *name = hb_tuple_text(trial, TRIAL_STATE);
	HbTrialState state;

	if (!hb_trial_state_parse(name, &state))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED), errmsg("unrecognized trial state \"%s\"", name)));
	pfree(name);
	return state;
}

int64
hb_trial_study(int64 trial_id)
{
	HbTuple trial;
	int64 study_id;

	if (!hb_tuple_find(&trial, &trial_table, HB_TUPLE_READ, &trial_id))
	{
		hb_tuple_require_unseen(&trial_table, &trial_id);
		return 0;
	}
	study_id = hb_tuple_int64(&trial, TRIAL_STUDY_ID);
	hb_tuple_forget(&trial);
	return study_id;
}

static void
read_handout(int64 trial_id, HbToldTrial *told)
{
	HbTuple handout;

	told->handed_out = hb_tuple_find(&handout, &handout_table, HB_TUPLE_READ, &trial_id);
	told->seconds = NAN;
	if (!told->handed_out)
		return;
	told->rung = (int) hb_tuple_int64(&handout, HANDOUT_RUNG);
	told->from_resource = hb_tuple_int64(&handout, HANDOUT_FROM_RESOURCE);
	told->to_resource = hb_tuple_int64(&handout, HANDOUT_TO_RESOURCE);
	told->lost = handout.nulls[HANDOUT_WORKER] && handout.nulls[HANDOUT_LEASE_UNTIL];
	told->seconds = (double) (GetCurrentTimestamp() - hb_tuple_time(&handout, HANDOUT_ASKED_AT)) /
					USECS_PER_SEC;
	told->losses = (int) hb_tuple_int64(&handout, HANDOUT_LOSSES);
	hb_tuple_forget(&handout);
}

bool
hb_told_get(int64 trial_id, HbToldTrial *told)
{
	HbTuple trial;

	if (!hb_tuple_find(&trial, &trial_table, HB_TUPLE_READ, &trial_id))
		return false;
	memset(told, 0, sizeof(*told));
	told->study_id = hb_tuple_int64(&trial, TRIAL_STUDY_ID);
	told->number = hb_tuple_int64(&trial, TRIAL_NUMBER);
	told->bracket = (int) hb_tuple_int64(&trial, TRIAL_BRACKET);
	told->state = state_of(&trial);
	told->attempt = (int) hb_tuple_int64(&trial, TRIAL_ATTEMPT);
	told->last_rung = trial.nulls[TRIAL_RUNG] ? -1 : (int) hb_tuple_int64(&trial, TRIAL_RUNG);
	told->resource = hb_tuple_int64(&trial, TRIAL_RESOURCE);
	hb_tuple_forget(&trial);
	read_handout(trial_id, told);
	return true;
}

static void
insert_rung(int64 study_id, const HbPlanBracket *bracket, int number)
{
	HbTuple rung;

	hb_tuple_new(&rung, &rung_table);
	set_bigint(&rung, RUNG_STUDY_ID, study_id);
	set_int(&rung, RUNG_BRACKET, bracket->bracket);
	set_int(&rung, RUNG_RUNG, number);
	set_int(&rung, RUNG_RESOURCE, (int) bracket->rungs[number].resource);
	if (number == 0)
		set_int(&rung, RUNG_TRIALS, (int) bracket->trials);
	hb_tuple_insert(&rung);
}

void
hb_bracket_start(int64 study_id, const HbPlanBracket *bracket)
{
	HbTuple row;

	hb_tuple_new(&row, &bracket_table);
	set_bigint(&row, BRACKET_STUDY_ID, study_id);
	set_int(&row, BRACKET_BRACKET, bracket->bracket);
	set_int(&row, BRACKET_TRIALS, (int) bracket->trials);
	set_int(&row, BRACKET_MIN_RESOURCE, (int) bracket->rungs[0].resource);
	set_int(&row, BRACKET_RUNGS, bracket->nrungs);
	hb_tuple_insert(&row);
	for (int r = 0; r < bracket->nrungs; r++)
		insert_rung(study_id, bracket, r);
}

/* The search space had no more configurations than so many. */
void
hb_bracket_cut(int64 study_id, int bracket, int trials)
{
	int64 keys[] = {study_id, bracket};
	HbTuple row;

	if (!hb_tuple_find(&row, &bracket_table, HB_TUPLE_CHANGE, keys))
		return;
	set_int(&row, BRACKET_TRIALS, trials);
	hb_tuple_update(&row);
}

int64
hb_trial_draw(int64 study_id, int64 number, int bracket, Jsonb *config, int seq)
{
	HbTuple trial;

	hb_tuple_new(&trial, &trial_table);
	set_bigint(&trial, TRIAL_STUDY_ID, study_id);
	set_int(&trial, TRIAL_NUMBER, (int) number);
	set_int(&trial, TRIAL_BRACKET, bracket);
	hb_tuple_set(&trial, TRIAL_CONFIG, JsonbPGetDatum(config));
	hb_tuple_set_text(&trial, TRIAL_STATE, "running");
	set_int(&trial, TRIAL_ATTEMPT, 1);
	if (seq != 0)
		set_int(&trial, TRIAL_STARTED_SEQ, seq);
	set_time(&trial, TRIAL_STARTED_AT, GetCurrentTransactionStartTimestamp());
	hb_tuple_insert(&trial);
	return DatumGetInt64(trial.values[TRIAL_ID]);
}

void
hb_trial_hand_again(HbHandout *handout)
{
	HbTuple trial;

	if (!hb_tuple_find(&trial, &trial_table, HB_TUPLE_CHANGE, &handout->trial_id))
		trial_dropped(handout->trial_id);
	handout->config = DatumGetJsonbPCopy(trial.values[TRIAL_CONFIG]);
	hb_tuple_set_text(&trial, TRIAL_STATE, "running");
	set_int(&trial, TRIAL_ATTEMPT, (int) hb_tuple_int64(&trial, TRIAL_ATTEMPT) + 1);
	hb_tuple_update(&trial);
	handout->attempt = (int) hb_tuple_int64(&trial, TRIAL_ATTEMPT);
}

bool
hb_config_drawn(int64 study_id, Jsonb *config)
{
	return hb_tuple_has_jsonb(&trial_table, TRIAL_STUDY_ID, study_id, TRIAL_CONFIG, config);
}

/* A lease of no microseconds is none. */
void
hb_handout_insert(int64 study_id, const HbHandout *handout, int64 worker, int64 lease)
{
	HbTuple row;

	hb_tuple_new(&row, &handout_table);
	set_bigint(&row, HANDOUT_TRIAL_ID, handout->trial_id);
	set_bigint(&row, HANDOUT_STUDY_ID, study_id);
	set_int(&row, HANDOUT_ATTEMPT, handout->attempt);
	set_int(&row, HANDOUT_RUNG, handout->rung);
	set_int(&row, HANDOUT_FROM_RESOURCE, (int) handout->from_resource);
	set_int(&row, HANDOUT_TO_RESOURCE, (int) handout->to_resource);
	if (worker != 0)
		set_bigint(&row, HANDOUT_WORKER, worker);
	if (lease > 0)
		set_time(&row, HANDOUT_LEASE_UNTIL, GetCurrentTimestamp() + lease);
	hb_tuple_insert(&row);
}

/* ---- results ---- */

static void
record_point(const HbToldTrial *told, int64 trial_id, double loss, double value)
{
	int64 keys[] = {trial_id, told->to_resource};
	HbTuple point;
	bool found = hb_tuple_find(&point, &curve_table, HB_TUPLE_CHANGE, keys);

	if (!found)
	{
		hb_tuple_new(&point, &curve_table);
		set_bigint(&point, CURVE_TRIAL_ID, trial_id);
		set_int(&point, CURVE_RESOURCE, (int) told->to_resource);
		set_bigint(&point, CURVE_STUDY_ID, told->study_id);
	}
	hb_tuple_set_float8(&point, CURVE_VALIDATION_LOSS, loss);
	hb_tuple_set_float8(&point, CURVE_METRIC_VALUE, value);
	hb_tuple_set_float8(&point, CURVE_ELAPSED, told->seconds);
	if (found)
		hb_tuple_update(&point);
	else
		hb_tuple_insert(&point);
}

static void
record_state(const HbToldTrial *told, int64 trial_id, double loss, Jsonb *metrics,
			 const char *state)
{
	HbTuple trial;

	if (!hb_tuple_find(&trial, &trial_table, HB_TUPLE_CHANGE, &trial_id))
		trial_dropped(trial_id);
	hb_tuple_set_text(&trial, TRIAL_STATE, state);
	set_int(&trial, TRIAL_RUNG, told->rung);
	set_int(&trial, TRIAL_RESOURCE, (int) told->to_resource);
	hb_tuple_set_float8(&trial, TRIAL_LOSS, loss);
	if (metrics != NULL)
		hb_tuple_set(&trial, TRIAL_METRICS, JsonbPGetDatum(metrics));
	else
		hb_tuple_set_null(&trial, TRIAL_METRICS);
	if (strcmp(state, "waiting") == 0)
		hb_tuple_set_null(&trial, TRIAL_FINISHED_AT);
	else
		set_time(&trial, TRIAL_FINISHED_AT, GetCurrentTransactionStartTimestamp());
	hb_tuple_update(&trial);
}

static void
record_evaluation(const HbToldTrial *told, int64 trial_id, double loss, Jsonb *metrics, int seq)
{
	HbTuple evaluation;

	hb_tuple_new(&evaluation, &evaluation_table);
	set_bigint(&evaluation, EVALUATION_TRIAL_ID, trial_id);
	set_int(&evaluation, EVALUATION_RUNG, told->rung);
	set_bigint(&evaluation, EVALUATION_STUDY_ID, told->study_id);
	set_int(&evaluation, EVALUATION_RESOURCE, (int) told->to_resource);
	set_int(&evaluation, EVALUATION_ATTEMPT, told->attempt);
	if (seq != 0)
		set_int(&evaluation, EVALUATION_RESULT_SEQ, seq);
	hb_tuple_set_float8(&evaluation, EVALUATION_LOSS, loss);
	if (metrics != NULL)
		hb_tuple_set(&evaluation, EVALUATION_METRICS, JsonbPGetDatum(metrics));
	hb_tuple_set_float8(&evaluation, EVALUATION_SECONDS, told->seconds);
	set_time(&evaluation, EVALUATION_RECORDED_AT, GetCurrentTimestamp());
	hb_tuple_insert(&evaluation);
}

/* The trial is changed first: its row is held from then on, and those below it refer to it. */
void
hb_result_record(const HbToldTrial *told, int64 trial_id, double loss, double value, Jsonb *metrics,
				 const char *state, int seq)
{
	HbTuple handout;

	record_state(told, trial_id, loss, metrics, state);
	record_evaluation(told, trial_id, loss, metrics, seq);
	record_point(told, trial_id, loss, value);
	if (hb_tuple_find(&handout, &handout_table, HB_TUPLE_CHANGE, &trial_id))
		hb_tuple_delete(&handout);
}

/* ---- the queue ---- */

void
hb_queue_push(int64 study_id, int64 place, int64 trial_id)
{
	HbTuple row;

	hb_tuple_new(&row, &queue_table);
	set_bigint(&row, QUEUE_STUDY_ID, study_id);
	set_bigint(&row, QUEUE_PLACE, place);
	set_bigint(&row, QUEUE_TRIAL_ID, trial_id);
	hb_tuple_insert(&row);
}

int64
hb_queue_pop(int64 study_id, int64 head, int64 *place)
{
	int64 keys[] = {study_id, head};
	HbTuple row;
	int64 trial_id;

	if (!hb_tuple_find_from(&row, &queue_table, HB_TUPLE_CHANGE, keys))
		return 0;
	*place = hb_tuple_int64(&row, QUEUE_PLACE);
	trial_id = hb_tuple_int64(&row, QUEUE_TRIAL_ID);
	hb_tuple_delete(&row);
	return trial_id;
}

/* ---- rungs ---- */

static void
find_rung(HbTuple *rung, HbTupleLock lock, int64 study_id, int bracket, int number)
{
	int64 keys[] = {study_id, bracket, number};

	if (!hb_tuple_find(rung, &rung_table, lock, keys))
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("rung %d of bracket %d of study %lld is missing", number, bracket,
							   (long long) study_id)));
}

static void
read_rung(const HbTuple *rung, HbRungRow *row)
{
	row->trials = rung->nulls[RUNG_TRIALS] ? -1 : (int) hb_tuple_int64(rung, RUNG_TRIALS);
	row->results = (int) hb_tuple_int64(rung, RUNG_RESULTS);
	row->ended = (int) hb_tuple_int64(rung, RUNG_ENDED);
	row->cut =
		(HbPlace){hb_tuple_float8(rung, RUNG_CUT_LOSS), hb_tuple_int64(rung, RUNG_CUT_TRIAL)};
	row->open =
		(HbPlace){hb_tuple_float8(rung, RUNG_OPEN_LOSS), hb_tuple_int64(rung, RUNG_OPEN_TRIAL)};
}

void
hb_rung_get(int64 study_id, int bracket, int number, HbRungRow *row)
{
	HbTuple rung;

	find_rung(&rung, HB_TUPLE_READ, study_id, bracket, number);
	read_rung(&rung, row);
	hb_tuple_forget(&rung);
}

void
hb_rung_add(int64 study_id, int bracket, int number, int results, int ended, HbRungRow *row)
{
	HbTuple rung;

	find_rung(&rung, HB_TUPLE_CHANGE, study_id, bracket, number);
	read_rung(&rung, row);
	row->results += results;
	row->ended += ended;
	set_int(&rung, RUNG_RESULTS, row->results);
	set_int(&rung, RUNG_ENDED, row->ended);
	hb_tuple_update(&rung);
}

void
hb_rung_expect(int64 study_id, int bracket, int number, int trials)
{
	HbTuple rung;

	find_rung(&rung, HB_TUPLE_CHANGE, study_id, bracket, number);
	set_int(&rung, RUNG_TRIALS, trials);
	hb_tuple_update(&rung);
}

/* Of asha's only bracket. */
void
hb_rung_cut(int64 study_id, int number, HbPlace cut, HbPlace open)
{
	HbTuple rung;

	find_rung(&rung, HB_TUPLE_CHANGE, study_id, 0, number);
	hb_tuple_set_float8(&rung, RUNG_CUT_LOSS, cut.loss);
	if (cut.trial_id != 0)
		set_bigint(&rung, RUNG_CUT_TRIAL, cut.trial_id);
	else
		hb_tuple_set_null(&rung, RUNG_CUT_TRIAL);
	hb_tuple_set_float8(&rung, RUNG_OPEN_LOSS, open.loss);
	set_bigint(&rung, RUNG_OPEN_TRIAL, open.trial_id);
	hb_tuple_update(&rung);
}
