# What rows hold stays with those who may read them.  Studies of a table whose categories, classes and numbers are easily
# recognised succeed, fail in many ways and are cancelled, while somebody with pg_monitor watches and the server logs all
# that it can: no value of a row is in the log, in pg_stat_activity, in the command line of a process, or in anything that
# another role can select.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Hyperband;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('main', conf => "log_statement = none\nlog_min_messages = debug1\nlog_error_verbosity = verbose\nhyperband.max_studies = 2");
my $secret = qr/geheim|918273|8191\.5/;

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE carol LOGIN; CREATE ROLE watcher LOGIN; GRANT pg_monitor TO watcher;
GRANT USAGE ON SCHEMA hyperband TO alice, bob, watcher;
GRANT CREATE ON SCHEMA public TO alice;
SET ROLE alice;
CREATE TABLE patients AS SELECT n AS id, n % 7 AS age, 918273000000 + (n * 7919) % 1000 AS salary, sin(n) + 8191.5 AS score, 'geheim-' || n % 5 AS illness,
  'geheim-' || n AS name, CASE WHEN n = 77 THEN 'Infinity' ELSE n / 10 + 918273.25 END::float8 AS dose, CASE WHEN n = 77 THEN 1e300 ELSE 8191.5 END AS wide,
  CASE WHEN n = 77 THEN ARRAY[8191.5, 1, 2] ELSE ARRAY[8191.5, n] END::float8[] AS series, timestamptz '2020-01-01 UTC' + n * interval '7 hours' AS seen,
  'geheim-class-' || n % 3 AS outcome, 'geheim-only'::text AS same FROM generate_series(1, 600) n;
CREATE DOMAIN modest AS text CHECK (value <> 'geheim-77');
CREATE FUNCTION examined(v text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN IF v = 'geheim-77' THEN RAISE EXCEPTION 'cannot examine %', v USING DETAIL = 'It is ' || v || '.', HINT = v; END IF; RETURN 1; END $$;
CREATE FUNCTION slow(v int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN v; END $$;
CREATE VIEW cast_error AS SELECT id, age, (CASE WHEN id = 77 THEN name ELSE '1' END)::int AS broken, outcome FROM patients;
CREATE VIEW zero_error AS SELECT id, age, salary / (id - 77) AS broken, outcome FROM patients;
CREATE VIEW raised_error AS SELECT id, age, examined(name) AS broken, outcome FROM patients;
CREATE VIEW domain_error AS SELECT id, age, length(name::modest) AS broken, outcome FROM patients;
CREATE VIEW date_error AS SELECT id, age, extract(epoch FROM name::date) AS broken, outcome FROM patients;
CREATE VIEW json_error AS SELECT id, age, ((name::jsonb) ->> 'x')::int AS broken, outcome FROM patients;
CREATE VIEW row_error AS SELECT id, age, (SELECT p.age FROM patients p WHERE p.name >= q.name) AS broken, outcome FROM patients q;
CREATE VIEW slow_view AS SELECT id, slow(age) AS age, illness, outcome FROM patients;
CREATE TABLE levels AS SELECT n AS id, 'geheim-' || n % 400 AS name, n % 2 = 0 AS outcome FROM generate_series(1, 2000) n;
SQL

# as(USER, SQL): what psql printed, with SQLSTATEs.
sub as
{
	my ($user, $sql) = @_;
	my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql", extra_params => [ '-U', $user ]);
	return $out . $err;
}

# What others see of the processes while a study runs: counted, so that it is known that there was something to see.
my (%looked, @seen);
sub look
{
	for my $shown (split /\n/, as('watcher', "SELECT concat_ws(' ', query, application_name) FROM pg_stat_activity WHERE backend_type LIKE 'hyperband%' AND query <> ''"))
	{
		$looked{activity}++;
		push @seen, $shown unless $shown =~ /^study \d+ ?$/;
	}
	for my $pid (supervisor_of($node), trainers_of($node))
	{
		my $line = -r "/proc/$pid/cmdline" ? slurp_file("/proc/$pid/cmdline") : '';
		$looked{trainer}++ if $line =~ /hyperband_train/;
		$looked{supervisor}++ if $line =~ /supervisor/;
		push @seen, $line if $line =~ $secret;
	}
}

my $features = "features => ARRAY['age','salary','score','illness','seen']";
my $space = q(search_space => '{"units": [16, 32], "layers": 1}');
my %made;
sub make
{
	my ($label, $arguments) = @_;
	($made{$label}) = as('alice', "SELECT hyperband_tune($arguments, name => '$label')") =~ /^(\d+)$/m or BAIL_OUT("$label is not made");
	return $made{$label};
}

my $long = "'patients', 'outcome', $features, max_resource => 20000, scheduler => 'full', n_trials => 8, trainers => 2, $space";
make('cancelled in training', $long);
ok(wait_for(sub { look(); $looked{trainer} }, 60), 'a study trains');
look() for 1 .. 5;
as('alice', "SELECT hyperband_cancel($made{'cancelled in training'})");
make('cancelled in loading', "'slow_view', 'outcome', features => ARRAY['age','illness'], max_resource => 1, model => 'linear'");
ok(wait_for(sub { look(); $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'hyperband supervisor' AND wait_event = 'PgSleep'") > 0 }, 60), 'another reads its data');
look() for 1 .. 5;
as('alice', "SELECT hyperband_cancel($made{'cancelled in loading'})");
is(join("\n", @seen), '', 'their processes show the number of the study and no more');
cmp_ok($looked{$_} // 0, '>=', 5, "though these were looked at: $_") for qw(activity supervisor trainer);

make('done', "'patients', 'outcome', $features, max_resource => 3, $space");
make('regression', "'patients', 'salary', features => ARRAY['age','illness','score'], max_resource => 3, model => 'linear'");
make('many levels', "'levels', 'outcome', features => ARRAY['id','name'], max_resource => 1, model => 'linear'");
as('alice', "SELECT hyperband_wait($made{$_})") for sort keys %made;
is(as('alice', "SELECT string_agg(state, ' ' ORDER BY study_id) FROM hyperband.study"), 'cancelled cancelled done done done', 'two were cancelled, three are done');

# Each way to fail: the SQLSTATE, and whether the owner is shown the value.
my $quick = "max_resource => 1, model => 'linear'";
for my $case (
	[ 'not finite',    '22000', 0, "'patients', 'outcome', features => ARRAY['age','dose'], $quick" ],
	[ 'out of range',  '22003', 0, "'patients', 'outcome', features => ARRAY['age','wide'], $quick" ],
	[ 'odd lengths',   '22000', 0, "'patients', 'outcome', features => ARRAY['age','series'], $quick" ],
	[ 'one class',     '22000', 0, "'patients', 'same', features => ARRAY['age','salary'], task => 'classification', $quick" ],
	[ 'strict',        '54000', 0, "'levels', 'outcome', features => ARRAY['id','name'], options => '{\"strict\": true}', $quick" ],
	[ 'cast_error',    '22P02', 1, '' ], [ 'zero_error', '22012', 0, '' ], [ 'raised_error', 'P0001', 1, '' ], [ 'domain_error', '23514', 0, '' ],
	[ 'date_error',    '22007', 1, '' ], [ 'json_error', '22P02', 1, '' ], [ 'row_error',    '21000', 0, '' ])
{
	my ($label, $sqlstate, $quoted, $arguments) = @$case;
	my $settings = $label eq 'strict' ? 'SET hyperband.max_categories = 300;' : '';
	$arguments ||= "'$label', 'outcome', features => ARRAY['age','broken'], $quick";
	($made{$label}) = as('alice', "$settings SELECT hyperband_tune($arguments, name => '$label')") =~ /^(\d+)$/m or BAIL_OUT("$label is not made");
	my $said = as('alice', "SELECT hyperband_wait($made{$label})");
	like($said, qr/ERROR:  $sqlstate: /, "$label: fails with $sqlstate");
	is($said =~ $secret ? 1 : 0, $quoted, $quoted ? "$label: its owner reads what PostgreSQL says of the value" : "$label: the message has no value");
	is(as('alice', "SELECT concat_ws(' ', error, detail, hint) FROM hyperband.study WHERE study_id = $made{$label}") =~ $secret ? 1 : 0, $quoted, "$label: and so does the study");
}

# Whoever may not read the rows: with the gate; with a grant of the model and without the gate; who watches the server.
is(as('bob', "SELECT hyperband_wait($_)") =~ s/LOCATION.*//sr, "psql:<stdin>:2: ERROR:  42704: study $_ does not exist\n", "another role cannot wait for study $_") for $made{cast_error};
as('alice', "SELECT hyperband_grant('done', 'bob'), hyperband_grant('done', 'carol')");
my @relations = split /\n/, $node->safe_psql('postgres', "SELECT relname FROM pg_class WHERE relnamespace = 'hyperband'::regnamespace AND relkind IN ('r', 'v') ORDER BY 1");
cmp_ok(scalar @relations, '>', 15, 'there are tables and views to look into: ' . @relations);
for my $role (qw(bob carol watcher))
{
	is(join("\n", grep { $_ =~ $secret } map { as($role, "SELECT * FROM hyperband.$_") } @relations), '', "$role reads no value there");
}
is(as('alice', 'SELECT count(*) > 0 FROM hyperband.loss_curve'), 't', 'the owner has loss curves');
is(as('bob', 'SELECT count(*) FROM hyperband.loss_curve'), 0, 'and nobody else');
# what is asked is echoed, what was learned is not
unlike(as('bob', "SELECT hyperband_predict('done', '{\"age\": \"x\", \"salary\": [], \"illness\": 3}'::jsonb)") . as('bob', "SELECT hyperband_classify('done', ROW(1))"), $secret, 'errors of predictions have no value');

# The log: it has the failures, with the SQLSTATEs, and the statements of the load; no value.
my $log = slurp_file($node->logfile);
like($log, qr/LOG:  .*study $made{cast_error} failed with SQLSTATE 22P02/, 'the log says that a study failed');
like($log, qr/ERROR:  25006|ERROR:  54000: column "name" has more than 300 distinct values/, 'with the message where it depends on no row');
like($log, qr/DEBUG:  /, 'it is a talkative log');
is(join("\n", grep { /$secret/ } split /\n/, $log), '', 'no value of a row is in the log');

$node->stop;
done_testing();
