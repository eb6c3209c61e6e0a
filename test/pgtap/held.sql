-- Results are kept in memory for a moment before they are written.  However long the moment is, the catalog ends the same,
-- and a longer one writes fewer checkpoints.
\set QUIET 1
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS hyperband;
CREATE SCHEMA held;
SET search_path = held, public;
CREATE TABLE data AS SELECT n AS id, n % 7 AS a, sin(n) AS b, n % 2 = 0 AS y FROM generate_series(1, 300) n;
CREATE TABLE studies (kind_of text, hold text, id bigint);
CREATE TABLE written (study_id bigint);
CREATE FUNCTION written() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO held.written VALUES (NEW.study_id); RETURN NULL; END $$;
CREATE TRIGGER written AFTER INSERT ON hyperband.checkpoint FOR EACH ROW EXECUTE FUNCTION written();
CREATE FUNCTION start(kind text, hold text, arguments jsonb) RETURNS void LANGUAGE sql AS $$
	SELECT set_config('hyperband.curve_flush', hold, false);
	INSERT INTO studies SELECT kind, hold, hyperband_tune('data', 'y', features => ARRAY['a', 'b'], max_resource => 9, trainers => 1, name => 'held ' || kind,
		sampler => coalesce(arguments ->> 'sampler', 'random'), scheduler => coalesce(arguments ->> 'scheduler', 'hyperband'), resource => coalesce(arguments ->> 'resource', 'epochs'),
		n_trials => (arguments ->> 'n_trials')::int, search_space => '{"units": {"type": "int", "low": 4, "high": 9}, "layers": 1, "optimizer": ["adam", "nesterov"]}');
$$;
CREATE TABLE kinds AS SELECT * FROM (VALUES ('lockstep', '{}'::jsonb), ('waves', '{"sampler": "tpe"}'), ('rows', '{"resource": "rows"}'), ('asha', '{"scheduler": "asha", "n_trials": 12}')) k (kind, arguments);
SELECT count(start(kind, hold, arguments)) FROM kinds, unnest('{0,1s}'::text[]) hold \g /dev/null
DO $$ DECLARE s bigint; BEGIN FOR s IN SELECT id FROM held.studies LOOP PERFORM hyperband_wait(s, '2 minutes'); END LOOP; END $$;

SELECT plan(18);
SELECT is(state, 'done', kind_of || ', ' || hold || ': done') FROM studies JOIN hyperband.study ON study_id = id ORDER BY id;
-- floats as bits; of asha with one trainer the order is fixed, too
CREATE VIEW found AS
SELECT kind_of AS kind, hold, row('trial', number, rung, resource, t.state, t.attempt, encode(float8send(loss), 'hex'), t.metrics)::text AS fact FROM studies JOIN hyperband.trial t ON study_id = id
UNION ALL SELECT kind_of, hold, row('evaluation', number, e.rung, e.resource, e.attempt, e.seq, e.result_seq, encode(float8send(e.loss), 'hex'), rank, promoted)::text
  FROM studies JOIN hyperband.evaluation e ON e.study_id = id JOIN hyperband.trial t USING (trial_id)
UNION ALL SELECT kind_of, hold, row('curve', number, c.resource, encode(float8send(train_loss), 'hex'), encode(float8send(validation_loss), 'hex'))::text
  FROM studies JOIN hyperband.loss_curve c ON c.study_id = id JOIN hyperband.trial t USING (trial_id)
UNION ALL SELECT kind_of, hold, row('checkpoint', number, c.resource, c.crc)::text FROM studies JOIN hyperband.checkpoint c ON c.study_id = id JOIN hyperband.trial t USING (trial_id)
UNION ALL SELECT kind_of, hold, row('study', resource_spent, encode(float8send(best_loss), 'hex'))::text FROM studies JOIN hyperband.study ON study_id = id;
SELECT cmp_ok(count(*), '>', 50::bigint, kind || ': there is something to compare') FROM found WHERE hold = '0' GROUP BY kind ORDER BY kind;
SELECT is_empty(format('(SELECT fact FROM found WHERE kind = %1$L AND hold = ''0'' EXCEPT ALL SELECT fact FROM found WHERE kind = %1$L AND hold = ''1s'')'
	' UNION ALL (SELECT fact FROM found WHERE kind = %1$L AND hold = ''1s'' EXCEPT ALL SELECT fact FROM found WHERE kind = %1$L AND hold = ''0'')', kind),
	kind || ': the same trials, results, curves and checkpoints, written at once or held') FROM kinds;
SELECT cmp_ok(count(*) FILTER (WHERE hold = '1s'), '<', count(*) FILTER (WHERE hold = '0'), kind_of || ': fewer checkpoints are written on the way')
  FROM studies JOIN written ON study_id = id WHERE kind_of IN ('lockstep', 'waves') GROUP BY kind_of ORDER BY kind_of;
SELECT finish();
DROP TRIGGER written ON hyperband.checkpoint;
SELECT count(hyperband_drop(id)) FROM studies \g /dev/null
DROP SCHEMA held CASCADE;
