-- max_rows: a seeded uniform sample. The same rows for the same seed whatever their order, others for another, and every part of
-- the table with its share. Seeds are fixed: a sample that is right once is right always.
\set QUIET 1
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS hyperband;
CREATE SCHEMA sampling;
SET search_path = sampling, public;
SELECT plan(37);

-- Marks of parts that a careless sample favours: the first rows, the last ones, every fourth, a rare value, and one that goes with the target.
CREATE TABLE source AS SELECT n % 3 = 0 AS target, (n <= 6000)::int::real AS early, (n > 18000)::int::real AS late, (n % 4 = 0)::int::real AS fourth,
	(n % 50 = 7)::int::real AS rare, (n % 3 = 0 AND n % 2 = 0)::int::real AS mixed, sin(n)::real AS noise FROM generate_series(1, 20000) n;
CREATE TABLE forwards AS TABLE source;
CREATE TABLE backwards AS SELECT * FROM (SELECT *, row_number() OVER () AS n FROM source) AS s ORDER BY n DESC;
ALTER TABLE backwards DROP COLUMN n;
-- 500 kinds of rows, 40 times each: equal rows are kept by their number.
CREATE TABLE repeated AS SELECT s.* FROM source s, generate_series(1, 40) WHERE s.ctid IN (SELECT ctid FROM source ORDER BY noise LIMIT 500);
CREATE TABLE sorted AS TABLE repeated ORDER BY rare, late, fourth, mixed, early, target, noise;

CREATE TABLE result (way text, seed int, rows bigint, rows_train bigint, fingerprint bytea, loss float8, encoder jsonb);
CREATE PROCEDURE learn(text, int, int) LANGUAGE plpgsql AS $$
DECLARE
	id bigint := hyperband_tune($1::regclass, 'target', model => 'linear', name => 'sample ' || $1, max_resource => 1, scheduler => 'full', n_trials => 1,
		search_space => '{"learning_rate": 0.01}', trainers => 1, seed => $2, options => jsonb_build_object('max_rows', $3));
BEGIN
	COMMIT;
	PERFORM hyperband_wait(id);
	INSERT INTO result SELECT CASE WHEN $3 < 20000 THEN $1 ELSE $1 || ', all' END, $2, s.rows_train + s.rows_validation, s.rows_train, s.fingerprint, s.best_loss, m.encoder
		FROM hyperband.study s JOIN hyperband.model m USING (study_id) WHERE study_id = id;
	PERFORM hyperband_drop(id), hyperband_drop_model('sample ' || $1);
END $$;
CALL learn('forwards', 1, 4000);
CALL learn('forwards', 1, 4000);
CALL learn('backwards', 1, 4000);
CALL learn('forwards', 2, 4000);
CALL learn('forwards', 3, 4000);
CALL learn('repeated', 1, 4000);
CALL learn('sorted', 1, 4000);
CALL learn('repeated', 2, 4000);
CALL learn('forwards', 1, 20000);
CALL learn('forwards', 2, 30000);

SELECT is(rows, CASE WHEN way LIKE '%all' THEN 20000 ELSE 4000 END::bigint, format('%s, seed %s: as many rows as asked for, or all', way, seed)) FROM result ORDER BY way, seed;
SELECT is(count(DISTINCT (loss, encoder)), 1::bigint, 'the same seed, the same rows: twice, and in the opposite order') FROM result WHERE way IN ('forwards', 'backwards') AND seed = 1;
SELECT is(count(DISTINCT (loss, encoder)), 1::bigint, 'rows that repeat: the same in another order') FROM result WHERE way IN ('repeated', 'sorted') AND seed = 1;
SELECT is(count(DISTINCT encoder), 3::bigint, 'another seed, other rows') FROM result WHERE way = 'forwards';
SELECT is(count(DISTINCT encoder), 2::bigint, 'rows that repeat: another seed, other rows') FROM result WHERE way = 'repeated';
SELECT is(count(DISTINCT encoder), 1::bigint, 'all rows are the same rows for any seed') FROM result WHERE way = 'forwards, all';

-- Each part with its share, within 4.5 standard errors of a binomial share of the rows trained on.
CREATE VIEW share AS SELECT way, seed, c ->> 'name' AS part, (c ->> 'mean')::float8 AS share, p, sqrt(p * (1 - p) / rows_train) AS error
	FROM result, jsonb_array_elements(encoder -> 'columns') AS c
		JOIN (VALUES ('early', 6000 / 20000.0::float8), ('late', 2000 / 20000.0::float8), ('fourth', 0.25), ('rare', 0.02), ('mixed', 3333 / 20000.0::float8)) AS t (part, p) ON part = c ->> 'name'
	WHERE way = 'forwards';
SELECT is(count(*), 20::bigint, 'shares of five parts in four samples, one of them twice') FROM share;
SELECT cmp_ok(abs(share - p), '<', 4.5 * error, format('%s, seed %s: share %s of %s', part, seed, round(share::numeric, 4), round(p::numeric, 4))) FROM share ORDER BY part, seed;
-- Not all on the same side of what is expected, either.
SELECT cmp_ok(count(DISTINCT sign(share - p))::int, '=', 2, 'samples err to both sides') FROM share;
SELECT * FROM finish();
DROP SCHEMA sampling CASCADE;
