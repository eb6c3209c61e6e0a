-- Rows that ask and tell write one by one, past the executor: what was hung on the tables meanwhile holds for them, too.
\set QUIET 1
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS hyperband;
CREATE SCHEMA rows;
SET search_path = rows, public;
SELECT plan(25);

CREATE FUNCTION made(scheduler text) RETURNS bigint LANGUAGE sql AS $$
	SELECT hyperband_create_study('{"x": {"type": "float", "low": 0, "high": 1}, "kind": ["a", "b"]}', 'random', scheduler, max_resource => 9, n_trials => 20, seed => 5) $$;
CREATE FUNCTION work(study bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	told int := 0;
	before int;
	a record;
BEGIN
	LOOP
		before := told;
		FOR a IN SELECT * FROM hyperband_ask(study, 2) LOOP
			told := told + 1;
			PERFORM hyperband_tell(a.trial_id, a.attempt, a.to_resource, CASE WHEN told % 7 = 0 THEN 'NaN' ELSE abs((a.config ->> 'x')::float8 - 0.3) + 1.0 / a.to_resource END,
				CASE WHEN told % 3 = 0 AND told % 7 > 0 THEN '{"log_loss": 1}'::jsonb END);
		END LOOP;
		EXIT WHEN told = before;
	END LOOP;
	RETURN study;
END $$;
CREATE FUNCTION history(study bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(E'\n',
		(SELECT string_agg(concat_ws('|', number, bracket, config, state, rung, resource, attempt, started_seq, loss, metrics, started_at IS NULL, finished_at IS NULL), E'\n' ORDER BY number)
			FROM hyperband.trial WHERE study_id = study),
		(SELECT string_agg(concat_ws('|', number, e.rung, e.resource, e.attempt, seq, result_seq, e.loss, e.metrics, rank, promoted, seconds IS NULL), E'\n' ORDER BY number, e.rung)
			FROM hyperband.evaluation e JOIN hyperband.trial USING (trial_id) WHERE e.study_id = study),
		(SELECT string_agg(concat_ws('|', number, c.resource, validation_loss, metric_value, elapsed IS NULL), E'\n' ORDER BY number, c.resource)
			FROM hyperband.loss_curve c JOIN hyperband.trial USING (trial_id) WHERE c.study_id = study),
		(SELECT string_agg(concat_ws('|', bracket, rung, resource, trials, results, ended, cut_loss), E'\n' ORDER BY bracket, rung) FROM hyperband.rung WHERE study_id = study),
		(SELECT string_agg(concat_ws('|', bracket, trials, min_resource, rungs), E'\n' ORDER BY bracket) FROM hyperband.bracket WHERE study_id = study),
		(SELECT concat_ws('|', drawn, exhausted, open_brackets, outstanding, head, tail, seq) FROM hyperband.turn WHERE study_id = study),
		(SELECT concat_ws('|', s.state, resource_spent, best_loss, number) FROM hyperband.study s LEFT JOIN hyperband.trial ON trial_id = best_trial_id WHERE s.study_id = study),
		(SELECT count(*) FROM hyperband.handout WHERE study_id = study), (SELECT count(*) FROM hyperband.queue WHERE study_id = study)) $$;

CREATE TEMP TABLE reference AS SELECT scheduler, history(work(made(scheduler))) FROM unnest('{full,halving,hyperband,asha,racing}'::text[]) scheduler;
SELECT is((SELECT count(*) FROM reference WHERE history LIKE '%completed%'), 5::bigint, 'studies of every scheduler are done');

-- The session has written every table by now.
CREATE TABLE seen (name text, operation text);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO rows.seen VALUES (TG_TABLE_NAME, TG_OP);
	RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
DO $$ DECLARE t text; BEGIN
	FOREACH t IN ARRAY '{study,turn,bracket,rung,trial,evaluation,loss_curve,handout,queue}'::text[] LOOP
		EXECUTE format('CREATE TRIGGER see BEFORE INSERT OR UPDATE OR DELETE ON hyperband.%I FOR EACH ROW EXECUTE FUNCTION rows.see()', t);
	END LOOP;
END $$;
SELECT is(history(work(made(scheduler))), history, 'triggers of a user: the same history, ' || scheduler) FROM reference;
SELECT results_eq('SELECT DISTINCT name || '' '' || operation FROM rows.seen ORDER BY 1',
	$$VALUES ('bracket INSERT'), ('evaluation INSERT'), ('evaluation UPDATE'), ('handout DELETE'), ('handout INSERT'), ('loss_curve INSERT'), ('queue DELETE'), ('queue INSERT'),
		('rung INSERT'), ('rung UPDATE'), ('study INSERT'), ('study UPDATE'), ('trial INSERT'), ('trial UPDATE'), ('turn INSERT'), ('turn UPDATE')$$, 'and they saw every write');
DROP FUNCTION see CASCADE;
SELECT is(history(work(made(scheduler))), history, 'and without them again, ' || scheduler) FROM reference;

-- A check, an index and a column that come later.
SELECT made('hyperband') AS study \gset
SELECT trial_id, attempt, to_resource FROM hyperband_ask(:study) \gset
ALTER TABLE hyperband.evaluation ADD CONSTRAINT not_seven CHECK (loss <> 7);
SELECT throws_ok(format('SELECT hyperband_tell(%s, %s, %s, 7)', :trial_id, :attempt, :to_resource), '23514', NULL, 'a check that was added holds');
SELECT is((SELECT count(*) FROM hyperband.handout WHERE trial_id = :trial_id), 1::bigint, 'and nothing of that result stays');
ALTER TABLE hyperband.evaluation DROP CONSTRAINT not_seven;
SELECT lives_ok(format('SELECT hyperband_tell(%s, %s, %s, 7)', :trial_id, :attempt, :to_resource), 'without it the result is taken');
CREATE INDEX added ON hyperband.evaluation ((loss * 2)) WHERE loss > 0;
ALTER TABLE hyperband.evaluation ADD COLUMN added text NOT NULL DEFAULT 'by default';
SELECT work(:study) > 0 AS worked \gset
ANALYZE hyperband.evaluation;
SET enable_seqscan = off;
SELECT is((SELECT count(*) FROM hyperband.evaluation WHERE loss * 2 > 0 AND loss > 0 AND study_id = :study AND added = 'by default'),
	(SELECT sum(results) FROM hyperband.rung WHERE study_id = :study), 'an index and a column that were added have every row');
RESET enable_seqscan;
ALTER TABLE hyperband.evaluation DROP COLUMN added;
SELECT is(history(work(made('asha'))), (SELECT history FROM reference WHERE scheduler = 'asha'), 'after a column was dropped the history is the same');
REINDEX TABLE hyperband.trial;
SELECT is(history(work(made('asha'))), (SELECT history FROM reference WHERE scheduler = 'asha'), 'after its indexes were made anew, too');

-- What only the executor knows how to heed.
ALTER TABLE hyperband.trial ADD COLUMN x float8 GENERATED ALWAYS AS ((config ->> 'x')::float8) STORED;
SELECT is(history(work(made('asha'))), (SELECT history FROM reference WHERE scheduler = 'asha'), 'with a generated column the history is the same');
SELECT is_empty($$SELECT FROM hyperband.trial WHERE x IS DISTINCT FROM (config ->> 'x')::float8$$, 'and it is computed');
ALTER TABLE hyperband.trial DROP COLUMN x;
CREATE INDEX by_config ON hyperband.trial USING gin (config);
SELECT is(history(work(made('asha'))), (SELECT history FROM reference WHERE scheduler = 'asha'), 'with an index of another kind, too');
ALTER INDEX hyperband.by_config SET (fastupdate = off);
SELECT is(history(work(made('asha'))), (SELECT history FROM reference WHERE scheduler = 'asha'), 'and after that was altered');
DROP INDEX hyperband.by_config;
CREATE TABLE notes (trial_id bigint PRIMARY KEY REFERENCES hyperband.handout ON DELETE CASCADE);
SELECT made('full') AS study \gset
SELECT trial_id, attempt, to_resource FROM hyperband_ask(:study) \gset
INSERT INTO notes VALUES (:trial_id);
SELECT hyperband_tell(:trial_id, :attempt, :to_resource, 1);
SELECT is_empty('TABLE notes', 'foreign keys of a user cascade');
DROP TABLE notes;
-- A function of a user in a check runs with the extension's search_path, not the caller's.
CREATE FUNCTION inner_name() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the caller''s function ran'; END $$;
CREATE FUNCTION checked(float8) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN inner_name(); EXCEPTION WHEN undefined_function THEN RETURN true; END $$;
ALTER TABLE hyperband.evaluation ADD CONSTRAINT checked CHECK (rows.checked(loss)) NOT VALID;
SELECT is(history(work(made('asha'))), (SELECT history FROM reference WHERE scheduler = 'asha'), 'a function in a check finds nothing of the caller''s');
ALTER TABLE hyperband.evaluation DROP CONSTRAINT checked;

-- What foreign keys promise.
SELECT is((SELECT count(*) FROM hyperband.trial t LEFT JOIN hyperband.study s USING (study_id) WHERE s.study_id IS NULL)
	+ (SELECT count(*) FROM hyperband.evaluation e LEFT JOIN hyperband.trial t USING (trial_id) WHERE t.trial_id IS NULL)
	+ (SELECT count(*) FROM hyperband.loss_curve c LEFT JOIN hyperband.trial t USING (trial_id) WHERE t.trial_id IS NULL), 0::bigint, 'no row is without the one it refers to');

SELECT * FROM finish();
