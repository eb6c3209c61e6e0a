-- Loading: the same rows give the same data, whatever way they reach the reader: a table's own tuples, a projection, rows with
-- NULLs among others, partitions, and tables of other physical order.
\set QUIET 1
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS hyperband;
CREATE SCHEMA loading;
SET search_path = loading, public;
SELECT plan(26);

CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE plain AS SELECT (n % 50)::smallint AS z, sin(n)::real AS b, n * 7919 % 10007 AS a, (n * 1000003::bigint) % 4000000007 AS d, cos(n) * 1e5 AS c,
	CASE WHEN n % 3 = 0 THEN -0.0 ELSE (n % 9)::real END::real AS f, CASE WHEN n % 4 = 0 THEN -0.0::float8 ELSE tan(n) END AS e,
	CASE WHEN sin(n) > 0.2 THEN 'up' ELSE 'down' END AS label, sin(n) + n % 5 AS number, (CASE WHEN cos(n) > 0 THEN 'glad' ELSE 'sad' END)::mood AS feeling,
	sin(n) < 0 AS truth, (n % 3)::bigint AS class
	FROM generate_series(1, 4000) n;
CREATE TABLE result (way text, target text, rows_train bigint, rows_validation bigint, fingerprint bytea, loss float8, encoder jsonb);
-- One trial of one epoch: its loss, and the model's means and deviations, tell whether the data were the same.
CREATE PROCEDURE learn(text, text) LANGUAGE plpgsql AS $$
DECLARE
	id bigint := hyperband_tune(($1 || '_' || $2)::regclass, $2, features => '{z,b,a,d,c,f,e}', model => 'linear', name => $1 || '_' || $2, max_resource => 1,
		scheduler => 'full', n_trials => 1, search_space => '{"learning_rate": 0.01}', trainers => 1);
BEGIN
	COMMIT;
	PERFORM hyperband_wait(id);
	INSERT INTO result SELECT $1, $2, s.rows_train, s.rows_validation, s.fingerprint, s.best_loss, m.encoder
		FROM hyperband.study s JOIN hyperband.model m USING (study_id) WHERE study_id = id;
	PERFORM hyperband_drop(id), hyperband_drop_model($1 || '_' || $2);
END $$;

-- Of each target a table that ends with it, and one where it comes first; a view that the executor must project; the rows in another order; partitions.
CREATE VIEW targets AS SELECT * FROM unnest(ARRAY['label', 'number', 'feeling', 'truth', 'class']) AS target;
SELECT format('CREATE TABLE last_%1$s AS SELECT z, b, a, d, c, f, e, %1$s FROM plain', target) FROM targets \gexec
SELECT format('CREATE TABLE first_%1$s AS SELECT %1$s, e, f, c, d, a, b, z FROM plain ORDER BY a', target) FROM targets \gexec
SELECT format('CREATE VIEW projected_%1$s AS SELECT z + 0::smallint AS z, b, a, d, c, f, e, %1$s FROM plain OFFSET 0', target) FROM targets \gexec
SELECT format('CREATE TABLE parts_%1$s (LIKE last_%1$s) PARTITION BY RANGE (a)', target) FROM targets \gexec
SELECT format('CREATE TABLE parts_%1$s_low PARTITION OF parts_%1$s FOR VALUES FROM (MINVALUE) TO (5000)', target) FROM targets \gexec
SELECT format('CREATE TABLE parts_%1$s_high (gone int, LIKE last_%1$s)', target) FROM targets \gexec
SELECT format('ALTER TABLE parts_%1$s_high DROP COLUMN gone', target) FROM targets \gexec
SELECT format('ALTER TABLE parts_%1$s ATTACH PARTITION parts_%1$s_high FOR VALUES FROM (5000) TO (MAXVALUE)', target) FROM targets \gexec
SELECT format('INSERT INTO parts_%1$s SELECT * FROM last_%1$s', target) FROM targets \gexec
SELECT format('CALL learn(%L, %L)', way, target) FROM targets, unnest(ARRAY['last', 'first', 'projected', 'parts']) way \gexec

SELECT is(count(*), 20::bigint, 'every way, every target') FROM result;
SELECT is(count(DISTINCT (rows_train, rows_validation)), 1::bigint, target || ': the same split on every way') FROM result GROUP BY target ORDER BY target;
SELECT is(count(DISTINCT fingerprint), 1::bigint, target || ': the same digest of all rows') FROM result GROUP BY target ORDER BY target;
SELECT is(count(DISTINCT encoder -> 'columns'), 1::bigint, target || ': the same means and deviations, bit for bit') FROM result GROUP BY target ORDER BY target;
SELECT is(count(DISTINCT loss), 1::bigint, target || ': the same loss') FROM result GROUP BY target ORDER BY target;

-- Numbers at fixed places first, then categories, in tables of which every column is used.
CREATE TABLE mixed AS SELECT n AS z, n % 7 AS y1, 'a' || n % 3 AS a, 'b' || n % 2 AS b, 'c' || n % 5 AS c, 'd' || n % 4 AS d, 'e' || n % 6 AS e, 'f' || n % 2 AS f,
	'g' || n % 3 AS g, 'h' || n % 5 AS h, CASE WHEN n % 7 > 3 THEN 'up' ELSE 'down' END AS label FROM generate_series(1, 400) n;
CREATE TABLE small AS SELECT z, a, label FROM mixed;
SELECT hyperband_tune(t::regclass, 'label', model => 'linear', max_resource => 3, name => t) FROM unnest(ARRAY['mixed', 'small']) t \g /dev/null
SELECT hyperband_wait(study_id) FROM hyperband.study WHERE name IN ('mixed', 'small') \g /dev/null
SELECT is(state, 'done', 'numbers before categories: ' || name) FROM hyperband.study WHERE name IN ('mixed', 'small') ORDER BY name;

-- Labels that only remembering tells: no fold knows another's, and so no model is better than chance.  Records have gaps between their columns.
CREATE TABLE twins AS SELECT g % 200 AS i, g % 200 * 7 AS j, 'k' || g % 200 AS k, hashint4(g % 200) % 2 = 0 AS y FROM generate_series(1, 20000) g;
SELECT hyperband_tune('twins', 'y', model => 'linear', name => 'twins', resource => 'folds', max_resource => 5, scheduler => 'full', n_trials => 1,
	search_space => '{"learning_rate": 0.1}') AS study \gset
SELECT hyperband_wait(:study) \g /dev/null
SELECT cmp_ok(best_loss, '>', 0.3::float8, 'folds: equal rows are in one of them') FROM hyperband.study WHERE study_id = :study;

-- Two distinct rows only: each is split, and both sides have both classes, whatever the hash says.
CREATE TABLE two AS SELECT g % 2 = 0 AS variant, g % 5 < 2 AS bought FROM generate_series(1, 1000) g;
CREATE TABLE rare AS SELECT g % 2 = 0 AS variant, CASE WHEN g <= 4 THEN 'a' WHEN g = 5 THEN 'z' ELSE 'b' END AS bought FROM generate_series(1, 1000) g;
CREATE TABLE splits (study bigint);
INSERT INTO splits SELECT hyperband_tune('two', 'bought', model => 'linear', name => 'two', max_resource => 3, scheduler => 'full', n_trials => 1,
	options => jsonb_build_object('split_seed', n)) FROM generate_series(1, 6) n;
INSERT INTO splits SELECT hyperband_tune('rare', 'bought', model => 'linear', name => 'two', metric => 'auc', max_resource => 3, scheduler => 'full', n_trials => 1);
SELECT hyperband_wait(study, '1 minute') FROM splits \g /dev/null
SELECT is(s.state, 'done', 'two distinct rows: a class of four and one of one') FROM hyperband.study s WHERE s.relation LIKE '%rare';
SELECT is(count(*), 6::bigint, 'two distinct rows: all splits are fine, none lacks a class') FROM splits JOIN hyperband.study s ON s.study_id = study JOIN hyperband.evaluation e USING (study_id)
	WHERE s.state = 'done' AND jsonb_typeof(e.metrics -> 'auc') = 'number' AND s.best_loss BETWEEN 0.3 AND 0.5;

SELECT * FROM finish();
SELECT hyperband_drop_model(name) FROM (SELECT DISTINCT name FROM hyperband.model WHERE name IN ('mixed', 'small', 'twins', 'two')) m \g /dev/null
DROP SCHEMA loading CASCADE;
