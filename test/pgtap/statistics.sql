-- Statistics gathered while studies were small must not lead to plans that read a large study whole for each cohort: a
-- supervisor plans its statements once.
\set QUIET 1
CREATE DATABASE small; -- where no other test's studies are
\c small
SET client_min_messages = warning;
CREATE EXTENSION pgtap;
CREATE EXTENSION hyperband;
CREATE SCHEMA small;
SET search_path = small, public;
SELECT plan(4);

CREATE TABLE examples AS SELECT x::real AS x, x > 250 AS y FROM generate_series(1, 500) AS x;
SELECT count(*) AS asked FROM generate_series(1, 60) AS i,
	LATERAL hyperband_ask(hyperband_create_study('{"x": {"type": "float", "low": 0, "high": 1}}', scheduler => 'full', name => 'small ' || i, n_trials => 1, max_resource => 1)) \gset
ANALYZE hyperband.trial;
SELECT is((SELECT n_distinct FROM pg_stats WHERE schemaname = 'hyperband' AND tablename = 'trial' AND attname = 'study_id'), -1::real, 'by its statistics a study has one trial');

-- Entries read of the indexes that begin with the study; a trial's own row is found by the primary key.
CREATE FUNCTION entries_read() RETURNS bigint LANGUAGE sql AS $$
	SELECT sum(idx_tup_read)::bigint FROM pg_stat_all_indexes WHERE schemaname = 'hyperband' AND relname IN ('trial', 'evaluation') AND indexrelname NOT LIKE '%\_pkey' $$;
SELECT pg_stat_force_next_flush();
SELECT entries_read() AS before \gset
SELECT hyperband_tune('examples', 'y', model => 'linear', scheduler => 'full', n_trials => 2000, max_resource => 1) AS study \gset
SELECT is(hyperband_wait(:study), 'done', 'a study of 2,000 trials is done');
DO $$ BEGIN
	FOR i IN 1 .. 300 LOOP
		PERFORM pg_stat_clear_snapshot();
		EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'hyperband supervisor' AND datname = 'small');
		PERFORM pg_sleep(0.1);
	END LOOP;
END $$;
SELECT cmp_ok(entries_read() - :before, '>=', 2000::bigint, 'its statistics have arrived');
SELECT cmp_ok(entries_read() - :before, '<=', 20 * 2000::bigint, 'and it read its trials a few times, not once a cohort');
SELECT * FROM finish();
\c postgres
DROP DATABASE small;
