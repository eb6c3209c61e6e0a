-- Damaged weights and encoders: a dump or a superuser may hold anything; length and checksum are looked at before use.
\set QUIET 1
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS hyperband;
CREATE TABLE damage AS SELECT n AS id, n % 7 AS a, sin(n) AS b, n % 2 = 0 AS y FROM generate_series(1, 200) n;

SELECT hyperband_tune('damage', 'y', features => ARRAY['a', 'b'], max_resource => 1, name => 'damage') AS study \gset
SELECT hyperband_wait(:study) AS state \gset
-- The same model under names of its own, each damaged in another way.
CREATE FUNCTION spoil(new_name text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	m hyperband.model;
	id bigint;
BEGIN
	SELECT * INTO STRICT m FROM hyperband.model WHERE name = 'damage';
	INSERT INTO hyperband.model (owner, name, version, is_current, family, task, features, feature_types, labels, encoder, metric, loss, resource, format, total_bytes, crc)
		VALUES (m.owner, new_name, 1, true, m.family, m.task, m.features, m.feature_types, m.labels, m.encoder, m.metric, m.loss, m.resource, m.format, m.total_bytes, m.crc)
		RETURNING model_id INTO id;
	INSERT INTO hyperband.model_data SELECT id, chunk, data FROM hyperband.model_data WHERE model_id = m.model_id;
	RETURN id;
END $$;
CREATE FUNCTION damage_sqlstate(name text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM hyperband_predict(name, d) FROM damage d;
	RETURN '00000';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate;
END $$;
SELECT spoil('whole') AS whole, spoil('flipped') AS flipped, spoil('cut') AS cut, spoil('lost') AS lost, spoil('long') AS long,
	spoil('no columns') AS no_columns, spoil('odd encoder') AS odd, spoil('wide encoder') AS wide, spoil('huge') AS huge,
	spoil('family') AS family, spoil('labels') AS labels \gset
UPDATE hyperband.model_data SET data = set_byte(data, 60, get_byte(data, 60) # 1) WHERE model_id = :flipped;
UPDATE hyperband.model_data SET data = substr(data, 1, 50) WHERE model_id = :cut;
DELETE FROM hyperband.model_data WHERE model_id = :lost;
UPDATE hyperband.model_data SET data = data || '\x00' WHERE model_id = :long;
UPDATE hyperband.model SET encoder = '{}' WHERE model_id = :no_columns;
UPDATE hyperband.model SET encoder = '[1, "x"]' WHERE model_id = :odd;
UPDATE hyperband.model SET encoder = replace(encoder::text, '"a"', '"b"')::jsonb WHERE model_id = :wide;
UPDATE hyperband.model SET total_bytes = 9223372036854775807 WHERE model_id = :huge;
UPDATE hyperband.model SET family = 'forest' WHERE model_id = :family;
UPDATE hyperband.model SET labels = ARRAY['one'] WHERE model_id = :labels;
\c
SET client_min_messages = error;
SELECT plan(12);
SELECT is(:'state'::text, 'done', 'there is a model to damage');
SELECT is(damage_sqlstate('whole'), '00000', 'a copy of it predicts');
SELECT is(damage_sqlstate('flipped'), 'XX001', 'one bit flipped');
SELECT is(damage_sqlstate('cut'), 'XX001', 'cut short');
SELECT is(damage_sqlstate('lost'), 'XX001', 'no weights at all');
SELECT is(damage_sqlstate('long'), 'XX001', 'a byte too many');
SELECT is(damage_sqlstate('no columns'), 'XX001', 'an encoder without columns');
SELECT is(damage_sqlstate('odd encoder'), 'XX001', 'an encoder that is none');
SELECT ok(damage_sqlstate('wide encoder') IN ('XX001', '00000', '42703'), 'an encoder with a column twice does not crash');
SELECT is(damage_sqlstate('huge'), 'XX001', 'a length beyond all memory');
SELECT is(damage_sqlstate('family'), 'XX001', 'a family that is not there');
SELECT is(damage_sqlstate('labels'), 'XX001', 'fewer labels than outputs');
DELETE FROM hyperband.model WHERE name <> 'damage';
SELECT * FROM finish();
