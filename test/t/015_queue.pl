# Many studies, few places: of several owners and databases, none is lost, none waits for ever, none is an error.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Hyperband;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

# max_worker_processes: parallel queries are off, so that all four are for studies.
my $node = new_cluster('main', bare => 1, conf => "max_worker_processes = 4\nmax_parallel_workers_per_gather = 0\nmax_logical_replication_workers = 0\nmax_connections = 120\nhyperband.max_trainers = 8");
my @databases = qw(postgres second third);
my @owners    = qw(ann bea cleo dora);
$node->safe_psql('postgres', join ';', map { "CREATE ROLE $_ LOGIN" } @owners);
for my $database (@databases)
{
	$node->safe_psql('postgres', "CREATE DATABASE $database") if $database ne 'postgres';
	install_hyperband($node, $database);
	load_table($node, 'pima2', 'pima2', $database);
	$node->safe_psql($database, "GRANT USAGE ON SCHEMA hyperband TO public; GRANT SELECT ON pima2 TO public; GRANT CREATE ON SCHEMA public TO public");
}
my $quick = "'pima2', 'diabetes', model => 'linear', features => ARRAY['glucose','mass','age'], max_resource => 1, n_trials => 1, scheduler => 'full', trainers => 1";

my $endless = "'pima2', 'diabetes', features => ARRAY['glucose','mass','age'], max_resource => 1000000, n_trials => 1, scheduler => 'full', trainers => 1";

# open_studies(DATABASE...): how many have not ended.
sub open_studies
{
	my $open = 0;
	$open += $node->safe_psql($_, "SELECT count(*) FROM hyperband.study WHERE state IN ('queued', 'running')") for @_;
	return $open;
}

# Fifty sessions call at once and do not wait.
sub fifty
{
	my ($label, @where) = @_;
	my $begin = time;
	my @sessions;
	for my $i (0 .. 49)
	{
		my $database = $where[ $i % @where ];
		my $owner    = $owners[ int($i / @where) % @owners ];
		my ($in, $out, $err) = ("SELECT hyperband_tune($quick, seed => $i, name => 'm$i')", '', '');
		my $s = { err => \$err };
		$s->{h} = IPC::Run::start([ 'psql', '-XAtq', '-U', $owner, '-d', $node->connstr($database) ], '<', \$in, '>', \$out, '2>', $s->{err});
		push @sessions, $s;
	}
	my @errors = grep { !$_->{h}->finish || ${ $_->{err} } =~ /ERROR|FATAL/ } @sessions;
	is(scalar @errors, 0, "$label: 50 calls at once, no error") or diag(map { ${ $_->{err} } } @errors);
	ok(wait_for(sub { open_studies(@where) == 0 }, 120), sprintf "$label: all have ended, %.0f s later, though nobody waits for them", time - $begin)
	  or diag(map { $node->safe_psql($_, "SELECT '$_', study_id, owner, state FROM hyperband.study WHERE state IN ('queued', 'running')") } @where);
	my $done = 0;
	$done += $node->safe_psql($_, "SELECT count(*) FROM hyperband.study WHERE state = 'done'") for @where;
	is($done, 50, "$label: and are done");
	$node->safe_psql($_, 'SELECT count(hyperband_drop(study_id)) FROM hyperband.study; SELECT count(*) FROM hyperband.study') for @where;
	return;
}

fifty('one database', 'postgres');
fifty('three databases', @databases);

# One place, a long queue, and somebody else comes: in another database, or another owner in the same.  The queue takes some
# seconds, since a worker slot that can only be handed on is given to its next owner after one.
my $longer = $quick =~ s/max_resource => 1,/max_resource => 4000,/r;
$node->append_conf('postgresql.conf', 'hyperband.max_studies = 1');
$node->reload;
for my $case ([ 'another database', 'second', 'ann' ], [ 'another owner', 'postgres', 'bea' ])
{
	my ($label, $database, $owner) = @$case;
	# the first holds the place until all have come
	my (undef, $first) = $node->psql('postgres', "SELECT hyperband_tune($endless)", extra_params => [ '-U', 'ann' ]);
	ok(wait_for(sub { state_of($node, $first) eq 'running' }), "$label: one study has the place");
	$node->psql('postgres', "SELECT hyperband_tune($longer, seed => i) FROM generate_series(1, 25) i", extra_params => [ '-U', 'ann' ]);
	$node->psql($database, "SELECT hyperband_tune($quick, name => 'late')", extra_params => [ '-U', $owner ]);
	$node->safe_psql('postgres', "SELECT hyperband_cancel($first)");
	ok(wait_for(sub { $node->safe_psql($database, "SELECT count(*) FROM hyperband.study WHERE name = 'late' AND state = 'done'") == 1 }, 60),
		"$label has its turn although nobody waits there");
	ok(wait_for(sub { open_studies(@databases) == 0 }, 60), "$label: and those are done, too");
	my $over   = $node->safe_psql($database, "SELECT finished_at FROM hyperband.study WHERE name = 'late'");
	my $behind = $node->safe_psql('postgres', "SELECT count(*) FROM hyperband.study WHERE name IS DISTINCT FROM 'late' AND started_at > '$over'");
	cmp_ok($behind, '>', 2, "$label: before those that had come earlier all had theirs ($behind were left)")
	  or diag(map { $node->safe_psql($_, "SELECT current_database(), study_id, owner, name, created_at, started_at, finished_at FROM hyperband.study ORDER BY started_at") } @databases);
	$node->safe_psql($_, 'SELECT count(hyperband_drop(study_id)) FROM hyperband.study') for @databases;
}

# What a restart of the server leaves in the queue waits for somebody who comes: then all of it has its turn.
{
	my (undef, $first) = $node->psql('postgres', "SELECT hyperband_tune($endless)", extra_params => [ '-U', 'ann' ]);
	ok(wait_for(sub { state_of($node, $first) eq 'running' }), 'restart: one study has the place');
	$node->psql('postgres', "SELECT hyperband_tune($quick)", extra_params => [ '-U', $_ ]) for qw(bea cleo);
	$node->restart;
	is($node->safe_psql('postgres', "SELECT string_agg(state, ' ' ORDER BY study_id) FROM hyperband.progress"), 'interrupted queued queued', 'restart: nothing runs, two are queued');
	$node->psql('postgres', "SELECT hyperband_tune($quick)", extra_params => [ '-U', 'dora' ]);
	ok(wait_for(sub { $node->safe_psql('postgres', "SELECT count(*) FROM hyperband.study WHERE state = 'done'") == 3 }, 60), 'restart: whoever comes next takes them along');
	$node->safe_psql('postgres', "SELECT hyperband_cancel($first); SELECT count(hyperband_drop(study_id)) FROM hyperband.study");
}

# A supervisor that is terminated, or whose extension is dropped, has a successor in another database.
for my $end ('pg_terminate_backend', 'DROP EXTENSION')
{
	load_table($node, 'letter', 'letter', 'third');
	$node->psql('third', "SELECT hyperband_tune('letter', 'lettr', max_resource => 81, search_space => '" . big_space() . "')");
	ok(wait_for(sub { trainers_of($node) > 0 }, 30), "$end: a study trains");
	my $waiting = $node->safe_psql('second', "SELECT hyperband_tune($quick)");
	sleep 0.5;
	is($node->safe_psql('second', "SELECT state FROM hyperband.study WHERE study_id = $waiting"), 'queued', "$end: another waits");
	$node->safe_psql('third', $end =~ /DROP/ ? 'DROP EXTENSION hyperband CASCADE'
		: "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'hyperband supervisor'");
	ok(wait_for(sub { open_studies('second') == 0 }, 20), "$end: then it has its turn");
	$node->safe_psql('third', 'DROP TABLE letter');
}
is(scalar(grep { /ERROR|FATAL|WARNING|PANIC/ && !/terminating|could not serialize/ } split /\n/, slurp_file($node->logfile)), 0, 'the log has no error')
  or diag(grep { /ERROR|FATAL|WARNING|PANIC/ } split /\n/, slurp_file($node->logfile));

# Time in which another study has all trainers is none of the time limit.
$node->append_conf('postgresql.conf', "hyperband.max_trainers = 1\nhyperband.max_studies = 2");
$node->reload;
my $hog = tune($node, $endless);
ok(wait_for(sub { trainers_of($node) > 0 }, 30), 'a study has the only trainer');
my $patient = tune($node, "$quick, time_limit => '5 s'");
sleep 7;
is(state_of($node, $patient), 'running', 'another, whose time limit is shorter than that, waits');
$node->safe_psql('postgres', "SELECT hyperband_cancel($hog)");
is(wait_study($node, $patient), 'done', 'and has its time when there is a trainer');

# Fewer studies at once from now on: those that run go on, what is queued waits for the places that are left.
$node->append_conf('postgresql.conf', "hyperband.max_trainers = 8\nhyperband.max_studies = 2");
$node->reload;
$node->safe_psql('postgres', "SELECT hyperband_tune($endless) FROM generate_series(1, 4)");
my $running = "SELECT count(*) FROM hyperband.progress WHERE state = 'running'";
ok(wait_for(sub { $node->safe_psql('postgres', $running) == 2 }, 30), 'two studies run');
$node->append_conf('postgresql.conf', 'hyperband.max_studies = 1');
$node->reload;
sleep 1;
is($node->safe_psql('postgres', $running), 2, 'and go on where hyperband.max_studies is lowered');
$node->safe_psql('postgres', "SELECT hyperband_cancel(study_id) FROM hyperband.progress WHERE state = 'running'");
ok(wait_for(sub { $node->safe_psql('postgres', "SELECT count(*) FROM hyperband.study WHERE state = 'queued'") == 1 && $node->safe_psql('postgres', $running) == 1 }, 30), 'then one follows');
sleep 1.5;
is($node->safe_psql('postgres', $running), 1, 'and no second');
$node->append_conf('postgresql.conf', 'hyperband.max_studies = 4');
$node->reload;
$node->safe_psql('postgres', "SELECT hyperband_cancel(study_id) FROM hyperband.progress WHERE state IN ('running', 'queued')");
ok(wait_for(sub { open_studies('postgres') == 0 }, 30), 'all are cancelled');

# As many functions as there are worker slots: each needs a second one for its worker.
$node->safe_psql('postgres', 'CREATE FUNCTION square(config jsonb, n int) RETURNS float8 LANGUAGE sql AS $$ SELECT (config ->> \'x\')::float8 ^ 2 $$');
$node->safe_psql('postgres', 'SELECT hyperband_minimize(\'square(jsonb, int)\', \'{"x": {"type": "float", "low": -1, "high": 1}}\', max_resource => 3) FROM generate_series(1, 4)');
my $since = time;
ok(wait_for(sub { open_studies('postgres') == 0 }, 90), sprintf('functions whose supervisors have all worker slots end, after %.0f s', time - $since));
is($node->safe_psql('postgres', "SELECT count(*) FROM hyperband.study WHERE kind = 'function' AND state = 'done'"), 4, 'all of them are done');

$node->stop;
done_testing();
