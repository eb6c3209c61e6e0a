-- The demo's tables.  dir: a folder that the server can read, with adult.csv and the unpacked files of Fashion-MNIST.
SET client_min_messages = warning;
CREATE EXTENSION hyperband;

CREATE TABLE adult (
	fold smallint, age smallint, workclass text, fnlwgt integer, education text, education_num smallint,
	marital_status text, occupation text, relationship text, race text, sex text, capital_gain integer,
	capital_loss smallint, hours_per_week smallint, native_country text, income text);
\set file :dir '/adult.csv'
COPY adult FROM :'file' WITH (FORMAT csv, HEADER);

-- A picture is 784 bytes, row by row; the files have a header of 16 bytes (labels: 8).
CREATE TABLE fashion (is_test boolean NOT NULL, label text NOT NULL, pixels bytea NOT NULL);
ALTER TABLE fashion ALTER COLUMN pixels SET STORAGE EXTERNAL;
CREATE TEMP TABLE labels AS SELECT * FROM unnest(ARRAY['T-shirt', 'trouser', 'pullover', 'dress', 'coat', 'sandal', 'shirt',
	'sneaker', 'bag', 'boot']) WITH ORDINALITY AS l (label, n);
\set images :dir '/train-images'
\set labels :dir '/train-labels'
\set test_images :dir '/t10k-images'
\set test_labels :dir '/t10k-labels'
WITH f AS MATERIALIZED (
	SELECT false AS is_test, 60000 AS rows, pg_read_binary_file(:'images') AS images, pg_read_binary_file(:'labels') AS labels
	UNION ALL SELECT true, 10000, pg_read_binary_file(:'test_images'), pg_read_binary_file(:'test_labels')),
names AS (SELECT array_agg(label ORDER BY n) AS name FROM labels)
INSERT INTO fashion SELECT is_test, name[1 + get_byte(labels, 8 + n)], substring(images FROM 17 + 784 * n FOR 784)
FROM f, names, generate_series(0, rows - 1) n;
ANALYZE;

-- What is learnt from; the rest is kept for testing.
CREATE VIEW adult_train AS SELECT age, workclass, fnlwgt, education, education_num, marital_status, occupation, relationship,
	race, sex, capital_gain, capital_loss, hours_per_week, native_country, income FROM adult WHERE fold < 8;
CREATE VIEW adult_test AS SELECT * FROM adult WHERE fold >= 8;
CREATE VIEW fashion_train AS SELECT pixels, label FROM fashion WHERE NOT is_test;
CREATE VIEW fashion_test AS SELECT * FROM fashion WHERE is_test;
