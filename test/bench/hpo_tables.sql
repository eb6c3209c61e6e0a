-- Tables of the hpo benchmark in schema hpo_bench: NAME_train, of which every method sets a part aside for validation, and NAME_test.
-- Variable task: adult, letter, digits, synthetic, fashion_10k, fashion_60k; folder: unpacked idx files of Fashion-MNIST.
SET client_min_messages = warning;
SELECT :'task' IN ('adult', 'letter', 'digits') AS real_table, :'task' = 'synthetic' AS synthetic, :'task' LIKE 'fashion%' AS images \gset

\if :real_table
SELECT format('CREATE TABLE hpo_bench.%I AS SELECT %s FROM real_shared.%I WHERE fold %s', :'task' || part,
			  string_agg(quote_ident(attname), ', ' ORDER BY attnum), :'task', condition)
  FROM pg_attribute, (VALUES ('_train', '< 8'), ('_test', '>= 8')) AS p (part, condition)
 WHERE attrelid = ('real_shared.' || quote_ident(:'task'))::regclass AND attnum > 0 AND NOT attisdropped
   AND attname NOT IN ('id', 'fold', 'orig_test')
 GROUP BY part, condition \gexec
\endif

\if :synthetic
-- Five classes of 30 real columns: the largest of five scores, linear with some products and noise.  A sum of four
-- uniform numbers is nearly normal.
SELECT setseed(0.25);
CREATE TABLE hpo_bench.all_rows AS
SELECT n, array_agg(x ORDER BY k) AS x, array_agg(random() ORDER BY k) AS noise
  FROM (SELECT n, k, (1.7320508 * (random() + random() + random() + random() - 2))::real AS x
		  FROM generate_series(1, 120000) AS n, generate_series(1, 30) AS k) AS cells
 GROUP BY n;
SELECT format('CREATE TABLE hpo_bench.synthetic_%s AS SELECT %s, (SELECT c FROM generate_series(1, 5) AS c, LATERAL (
	SELECT sum(x[k] * sin(k * c)) + 2 * x[c] * x[c + 5] - 2 * x[c + 10] * abs(x[c + 15]) + 2 * noise[c] AS score
	FROM generate_series(1, 30) AS k) AS s ORDER BY score DESC LIMIT 1)::smallint AS class FROM hpo_bench.all_rows WHERE n %s 100000',
	part, (SELECT string_agg(format('x[%s] AS x%s', k, k), ', ' ORDER BY k) FROM generate_series(1, 30) AS k), condition)
  FROM (VALUES ('train', '<='), ('test', '>')) AS p (part, condition) \gexec
DROP TABLE hpo_bench.all_rows;
\endif

\if :images
SELECT CASE WHEN :'task' = 'fashion_10k' THEN 12000 ELSE 60000 END AS rows \gset
\set i :folder '/train-images-idx3-ubyte'
\set l :folder '/train-labels-idx1-ubyte'
SELECT format('CREATE TABLE hpo_bench.%s_train (label smallint NOT NULL, pixels bytea NOT NULL)', :'task') \gexec
SELECT format('CREATE TABLE hpo_bench.%s_test (label smallint NOT NULL, pixels bytea NOT NULL)', :'task') \gexec
SELECT format('INSERT INTO hpo_bench.%s_train SELECT get_byte(lab, 8 + i), substring(img FROM 17 + 784 * i FOR 784)
	FROM (SELECT pg_read_binary_file(%L) AS img, pg_read_binary_file(%L) AS lab OFFSET 0) AS f, generate_series(0, %s - 1) AS i',
	:'task', :'i', :'l', :rows) \gexec
\set i :folder '/t10k-images-idx3-ubyte'
\set l :folder '/t10k-labels-idx1-ubyte'
SELECT format('INSERT INTO hpo_bench.%s_test SELECT get_byte(lab, 8 + i), substring(img FROM 17 + 784 * i FOR 784)
	FROM (SELECT pg_read_binary_file(%L) AS img, pg_read_binary_file(%L) AS lab OFFSET 0) AS f, generate_series(0, 9999) AS i',
	:'task', :'i', :'l') \gexec
\endif

SELECT format('VACUUM ANALYZE hpo_bench.%I', relname) FROM pg_class WHERE relnamespace = 'hpo_bench'::regnamespace AND relname LIKE :'task' || '%' \gexec
