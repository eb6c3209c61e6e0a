# Every kind of relation and column, and that the same rows give the same trials whatever holds them.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Hyperband;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('main');
load_table($node, 'pima2');
load_table($node, 'digits');
my $data = $ENV{HYPERBAND_DATA};
my @features = qw(pregnant glucose pressure triceps insulin mass pedigree age);
my $list = 'ARRAY[' . join(',', map { "'$_'" } @features) . ']';
my $port = $node->port;
my $host = $node->host;
my $csv = $node->basedir . '/pima2.csv';
system_or_bail('sh', '-c', "gzip -dc '$data/pima2.csv.gz' > '$csv'");

# One and the same table in every form.
$node->safe_psql('postgres', <<"SQL");
CREATE VIEW as_view AS SELECT * FROM pima2;
CREATE MATERIALIZED VIEW as_matview AS SELECT * FROM pima2;
CREATE UNLOGGED TABLE as_unlogged AS SELECT * FROM pima2;
CREATE TABLE as_partitioned (LIKE pima2) PARTITION BY LIST (fold);
CREATE TABLE part_low PARTITION OF as_partitioned FOR VALUES IN (0, 1, 2, 3, 4);
CREATE TABLE part_high PARTITION OF as_partitioned DEFAULT;
INSERT INTO as_partitioned SELECT * FROM pima2;
CREATE TABLE with_dropped (gone text, id int, glucose int, also_gone int, mass float8, age int, diabetes text, pedigree float8,
  pregnant int, pressure int, triceps int, last_gone int, insulin int);
ALTER TABLE with_dropped DROP gone, DROP also_gone, DROP last_gone;
INSERT INTO with_dropped SELECT id, glucose, mass, age, diabetes, pedigree, pregnant, pressure, triceps, insulin FROM pima2;
CREATE TABLE with_default (id int, glucose int, mass float8, age int, diabetes text, pedigree float8, pregnant int, pressure int, insulin int);
INSERT INTO with_default SELECT id, glucose, mass, age, diabetes, pedigree, pregnant, pressure, insulin FROM pima2;
ALTER TABLE with_default ADD triceps int;
UPDATE with_default w SET triceps = p.triceps FROM pima2 p WHERE p.id = w.id;
CREATE TABLE with_generated (id int, glucose int, half_mass float8, mass float8 GENERATED ALWAYS AS (half_mass * 2) STORED, age int,
  diabetes text, pedigree float8, pregnant int, pressure int, triceps int, insulin int);
INSERT INTO with_generated (id, glucose, half_mass, age, diabetes, pedigree, pregnant, pressure, triceps, insulin)
  SELECT id, glucose, mass / 2, age, diabetes, pedigree, pregnant, pressure, triceps, insulin FROM pima2;
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE as_file (id int, fold int, pregnant int, glucose int, pressure int, triceps int, insulin int, mass float8,
  pedigree float8, age int, diabetes text) SERVER files OPTIONS (filename '$csv', format 'csv', header 'true');
CREATE EXTENSION postgres_fdw;
CREATE SERVER loopback FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres');
CREATE USER MAPPING FOR CURRENT_USER SERVER loopback;
CREATE FOREIGN TABLE as_remote (id int, fold int, pregnant int, glucose int, pressure int, triceps int, insulin int, mass float8,
  pedigree float8, age int, diabetes text) SERVER loopback OPTIONS (table_name 'pima2');
CREATE SCHEMA "Odd ""Schema";
CREATE TABLE "Odd ""Schema"."Pima; DROP TABLE pima2 --" AS SELECT * FROM pima2;
CREATE TABLE as_varchar AS SELECT id, pregnant::int8, glucose::int8, pressure::int8, triceps::int8, insulin::int8, mass, pedigree, age::int8,
  diabetes::varchar(3) FROM pima2;
CREATE TYPE answer AS ENUM ('neg', 'pos');
CREATE TABLE as_enum AS SELECT id, pregnant, glucose, pressure, triceps, insulin, mass, pedigree, age, diabetes::answer FROM pima2;
SQL

sub run
{
	my ($relation, %options) = @_;
	my $study = $node->safe_psql('postgres',
		"SELECT hyperband_tune(\$r\$$relation\$r\$, 'diabetes', features => $list, max_resource => 3, seed => 1, name => 'kinds')");
	my ($status, $out, $err) = $node->psql('postgres', "SELECT hyperband_wait($study, '2 minutes')");
	is($out, 'done', "$relation: done") or diag($err);
	return history($node, $study);
}

my $expected = run('pima2');
like($expected, qr/^evaluation\|/m, 'there is a history to compare');
for my $relation (qw(as_view as_matview as_unlogged as_partitioned with_dropped with_default with_generated as_file as_remote as_varchar as_enum),
	'"Odd ""Schema"."Pima; DROP TABLE pima2 --"')
{
	is(run($relation), $expected, "$relation: the same rows give the same trials");
}

# Predictions by name in any column order, by position, and from jsonb agree.
is( $node->safe_psql('postgres', <<'SQL'), 't', 'a row by name, in another column order, by position and as jsonb: one prediction');
SELECT bool_and((a = b AND a = c AND a = d) IS TRUE) FROM (
  SELECT hyperband_predict('kinds', p) AS a, hyperband_predict('kinds', g) AS b,
         hyperband_predict('kinds', ROW(p.pregnant, p.glucose, p.pressure, p.triceps, p.insulin, p.mass, p.pedigree, p.age)) AS c,
         hyperband_predict('kinds', to_jsonb(p)) AS d
    FROM pima2 p JOIN with_generated g USING (id)) x
SQL

# run_study(LABEL, ARGUMENTS): runs it and returns its id.
sub run_study
{
	my ($label, $arguments) = @_;
	my ($status, $id, $err) = $node->psql('postgres', "SELECT hyperband_tune($arguments)");
	is($status, 0, "$label: accepted") or diag($err);
	my ($ok, $state, $why) = $node->psql('postgres', "SELECT hyperband_wait($id, '2 minutes')");
	is($state, 'done', "$label: done") or diag($why);
	return $id;
}

# Pixels as bytea, as arrays of every kind of number; targets of every kind.
my @pixels = map { "p$_" } 0 .. 63;
$node->safe_psql('postgres', <<"SQL");
CREATE TABLE pictures AS SELECT id, digit, digit > 4 AS large, digit::text AS name,
  decode(string_agg(lpad(to_hex(v::int), 2, '0'), '' ORDER BY n), 'hex') AS bytes,
  array_agg(v ORDER BY n)::int2[] AS i2, array_agg(v ORDER BY n)::int4[] AS i4, array_agg(v ORDER BY n)::int8[] AS i8,
  array_agg(v ORDER BY n)::real[] AS f4, array_agg(v ORDER BY n)::float8[] AS f8, array_agg(v ORDER BY n)::numeric[] AS num
  FROM (SELECT id, digit, unnest(ARRAY[@{[join ',', @pixels]}]) AS v, generate_series(0, 63) AS n FROM digits) x GROUP BY id, digit;
SQL
for my $column (qw(bytes i2 i4 i8 f4 f8 num))
{
	my $id = run_study("pictures.$column", "'pictures', 'digit', features => ARRAY['$column'], max_resource => 9, name => 'pictures_$column', seed => 3");
	cmp_ok($node->safe_psql('postgres', "SELECT coalesce(best_loss, 9) FROM hyperband.study WHERE study_id = $id"), '<', 0.15, "pictures.$column: learns");
	is( $node->safe_psql('postgres', "SELECT bool_and((hyperband_classify('pictures_$column', p) ~ '^[0-9]\$') IS TRUE) FROM pictures p WHERE id < 50"),
		't', "pictures.$column: predicts");
}
my $id = run_study('boolean target', "'pictures', 'large', features => ARRAY['bytes'], model => 'linear', max_resource => 3, name => 'large'");
is($node->safe_psql('postgres', "SELECT labels FROM hyperband.model WHERE name = 'large'"), '{false,true}', 'false comes before true');

# Every scalar type at once; missing values everywhere; a constant column; dates.
$node->safe_psql('postgres', <<'SQL');
CREATE TYPE size AS ENUM ('small', 'large');
CREATE DOMAIN grams AS numeric CHECK (value > 0);
CREATE TABLE every AS SELECT id, age::int2 AS c_int2, age::int4 AS c_int4, age::int8 AS c_int8, mass::float4 AS c_float4, mass AS c_float8,
  pedigree::numeric(8, 3) AS c_numeric, (mass + 1)::numeric::grams AS c_domain, glucose > 120 AS c_bool, CASE WHEN age > 30 THEN 'old' ELSE 'young' END AS c_text,
  ('g' || pregnant % 4)::varchar(5) AS c_varchar, ('g' || pregnant % 3)::char(5) AS c_char, ('n' || pregnant % 3)::name AS c_name,
  (CASE WHEN mass > 30 THEN 'large' ELSE 'small' END)::size AS c_enum, date '2020-01-01' + age AS c_date,
  timestamp '2020-01-01' + age * interval '1 day' AS c_timestamp, timestamptz '2020-01-01 UTC' + age * interval '1 day' AS c_timestamptz,
  time '00:00' + age * interval '1 minute' AS c_time, age * interval '1 hour' AS c_interval, 7 AS c_constant,
  ARRAY[glucose, age]::real[] AS c_array, glucose, CASE WHEN id % 5 = 0 THEN NULL ELSE diabetes END AS diabetes, insulin::float8 AS target
  FROM pima2 WHERE glucose IS NOT NULL AND mass IS NOT NULL;
UPDATE every SET c_int2 = NULL, c_text = NULL, c_enum = NULL, c_numeric = NULL, c_date = NULL, c_bool = NULL WHERE id % 7 = 0;
ALTER TABLE every ADD PRIMARY KEY (id);
SQL
my ($status, $out, $err) = $node->psql('postgres', "SELECT hyperband_tune('every', 'diabetes', max_resource => 9, name => 'every')");
is($status, 0, 'a table of every type is accepted') or diag($err);
like($err, qr/NOTICE/, 'a notice lists the columns');
is($node->safe_psql('postgres', "SELECT hyperband_wait($out)"), 'done', 'and trained');
is($node->safe_psql('postgres', "SELECT rows_skipped = (SELECT count(*) FROM every WHERE diabetes IS NULL) FROM hyperband.study WHERE study_id = $out"),
	't', 'rows without a target are skipped and counted');
is($node->safe_psql('postgres', "SELECT 'id' = ANY (features) OR 'c_constant' = ANY (features) FROM hyperband.model WHERE name = 'every'"),
	'f', 'neither the key nor a constant column is a feature');
is($node->safe_psql('postgres', "SELECT bool_and((hyperband_predict('every', e) BETWEEN 0 AND 1) IS TRUE) FROM every e"), 't', 'missing values predict, too');
is( $node->safe_psql('postgres', <<'SQL'), 't', 'so does a category that training never saw');
SELECT hyperband_predict('every', to_jsonb(e) || '{"c_text": "ancient", "c_varchar": null}') BETWEEN 0 AND 1 FROM every e WHERE id = 2
SQL
is( $node->safe_psql('postgres', <<'SQL'), 't', 'a record and its jsonb predict the same for every type');
SELECT bool_and((abs(hyperband_predict('every', e) - hyperband_predict('every', to_jsonb(e))) < 1e-6) IS TRUE) FROM every e
SQL

# What the reader of the data noticed, after whoever asked for the study has gone on, is in the log.
$node->safe_psql('postgres', q{CREATE TABLE noticed AS SELECT n AS id, 'level ' || n % 500 AS many, 7 AS same, n % 3 = 0 AS y FROM generate_series(1, 3000) n;
	CREATE TABLE rare AS SELECT n % 50 AS a, 'class ' || n % 50 / 2 AS y FROM generate_series(1, 400) n});
my $noticed = run_study('many levels', "'noticed', 'y', features => ARRAY['many', 'same'], model => 'linear', max_resource => 1");
my $rare = run_study('classes of two groups', "'rare', 'y', model => 'linear', max_resource => 1");
my $log = slurp_file($node->logfile);
like($log, qr/LOG:  study $noticed: column "many" has \d+ distinct values: the 255 most frequent are told apart/, 'the log says that levels are not told apart');
like($log, qr/LOG:  study $noticed: column "same" is constant over the training rows and is not used/, 'and that a column is constant');
like($log, qr/LOG:  study $rare: groups of equal rows moved between training and validation, so that neither lacks a class: [1-9]/, 'and that rows of rare classes moved');

# Regression.
$id = run_study('regression', "'every', 'target', features => ARRAY['glucose', 'c_float8', 'c_int4'], max_resource => 9, name => 'insulin'");
is($node->safe_psql('postgres', "SELECT task || ' ' || metric FROM hyperband.study WHERE study_id = $id"), 'regression rmse', 'a float target is a regression, measured by rmse');
is($node->safe_psql('postgres', "SELECT best_loss < (SELECT stddev(target) FROM every) FROM hyperband.study WHERE study_id = $id"),
	't', 'better than the mean, in the unit of the target');
cmp_ok($node->safe_psql('postgres', "SELECT avg(hyperband_predict('insulin', e)) FROM every e"), '>', 50, 'and predictions are in that unit');

# The table changes or goes away while a study runs or waits.
load_table($node, 'letter');
my $study = training_study($node, "'letter', 'lettr', max_resource => 9, search_space => '" . big_space() . "'");
$node->safe_psql('postgres', 'DROP TABLE letter');
is(wait_study($node, $study), 'done', 'a table dropped while its study trains does not matter: it was read once');
load_table($node, 'letter');
$study = training_study($node, "'letter', 'lettr', max_resource => 27, search_space => '" . big_space() . "'");
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'hyperband supervisor'");
wait_for(sub { state_of($node, $study) eq 'interrupted' }, 10);
$node->safe_psql('postgres', "UPDATE letter SET x_box = x_box + 1 WHERE id = 1; SELECT hyperband_resume($study)");
like(error_of($node, "SELECT hyperband_wait($study)"), qr/ERROR:  55000/, 'a table that changed under an interrupted study is an error on resume');

$node->stop;
done_testing();
