# shared_preload_libraries: what a restart of the server interrupted goes on by itself, in whichever database; nothing
# else happens, and pg_upgrade is not in the way.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Hyperband;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_cluster('main', bare => 1,
	conf => "shared_preload_libraries = 'hyperband'\nrestart_after_crash = on\nhyperband.max_studies = 2\nmax_worker_processes = 5\nmax_prepared_transactions = 2\nmax_parallel_workers_per_gather = 0");
my $call = "'letter', 'lettr', max_resource => 27, seed => 11, trainers => 2, search_space => '" . big_space() . "'";
my @with = qw(postgres d7 d15);
$node->safe_psql('postgres', join ';', map { "CREATE DATABASE d$_" } 1 .. 19);
$node->safe_psql('postgres', 'ALTER DATABASE d3 ALLOW_CONNECTIONS false; CREATE ROLE nobody LOGIN');
for my $database (@with)
{
	install_hyperband($node, $database);
	load_table($node, 'letter', 'letter', $database);
}
my $launcher = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'hyperband launcher'";
is($node->safe_psql('postgres', $launcher), 1, 'there is one launcher');
my $reference = tune($node, $call);
is(wait_study($node, $reference), 'done', 'the undisturbed study is done');
my $expected = history($node, $reference);

# It waits, and has nobody in a database.
sub idle
{
	return wait_for(sub { $node->safe_psql('postgres', "$launcher AND wait_event = 'Extension'") == 1
		  && $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'hyperband visitor'") == 0 }, 60);
}

sub wait_all
{
	return wait_for(sub { !grep { $node->safe_psql($_, "SELECT count(*) FROM hyperband.study WHERE state IN ('queued', 'running')") } @with }, 90);
}

# A restart, a crash of the server, and a supervisor that crashes it.
for my $how ('restart', 'immediate shutdown', 'crash')
{
	my %study = map { $_ => $node->safe_psql($_, "SELECT hyperband_tune($call, name => '$how')") } @with;
	my $share = "SELECT resource_spent > 0.1 * resource_planned FROM hyperband.study WHERE study_id = $study{postgres}";
	ok(wait_for(sub { $node->safe_psql('postgres', $share) eq 't' }, 60), "$how: studies of three databases, two train");
	if ($how eq 'crash')
	{
		# until the postmaster has noticed the death it still lets sessions in
		my $before = -s $node->logfile;
		kill 'KILL', (supervisor_of($node))[0];
		ok(wait_for(sub { slurp_file($node->logfile, $before) =~ /terminated by signal 9.*ready to accept connections/s }, 60), "$how: the server is back");
	}
	else
	{
		$node->stop($how eq 'restart' ? 'fast' : 'immediate');
		$node->start;
	}
	ok(wait_all(), "$how: all three end, though nobody resumed them");
	is($node->safe_psql($_, "SELECT state FROM hyperband.study WHERE study_id = $study{$_}"), 'done', "$how: done in $_") for @with;
	is(history($node, $study{postgres}), $expected, "$how: with the history of the undisturbed study");
	is($node->safe_psql('postgres', $launcher), 1, "$how: there is one launcher");
}

# A study that was cancelled while it was interrupted, and one that somebody terminated, stay as they are.
my $study = training_study($node, $call, 0.1);
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'hyperband supervisor'");
ok(wait_for(sub { state_of($node, $study) eq 'interrupted' }, 10), 'a supervisor that is terminated interrupts its study');
sleep 1.5;
is(state_of($node, $study), 'interrupted', 'which the launcher leaves as it is');
$node->safe_psql('postgres', "SELECT hyperband_cancel($study)");
$node->restart;
sleep 1.5;
ok(idle(), 'the launcher has been round');
is(state_of($node, $study), 'cancelled', 'a cancelled study is not taken up again');
is(scalar(supervisor_of($node)), 0, 'nothing runs');

# One that is being cancelled when the launcher comes to it; a prepared transaction stands for a session that is in time.
$study = training_study($node, $call, 0.1);
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'hyperband supervisor'");
ok(wait_for(sub { state_of($node, $study) eq 'interrupted' }, 10), 'another study is interrupted');
$node->safe_psql('postgres', "BEGIN; UPDATE hyperband.study SET state = 'cancelled', cancel_requested = true, finished_at = now() WHERE study_id = $study; PREPARE TRANSACTION 'cancel'");
$node->restart;
ok(wait_for(sub { $node->safe_psql('postgres', "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND backend_type = 'hyperband visitor'") == 1 }, 30),
	'the launcher waits for who changes it');
$node->safe_psql('postgres', "COMMIT PREPARED 'cancel'");
ok(wait_for(sub { $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'hyperband visitor'") == 0 }, 30), 'and then is done');
is(state_of($node, $study), 'cancelled', 'what was cancelled meanwhile stays so');
is(scalar(supervisor_of($node)), 0, 'and nothing runs');

# It idles: no transaction, no snapshot, no CPU time, no log.
my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'hyperband launcher'");
ok(wait_for(sub { $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'hyperband launcher' AND backend_xmin IS NULL AND xact_start IS NULL AND datid IS NULL") == 1 }, 10),
	'the launcher holds nothing and is connected to no database');
my ($ticks, $log) = (cpu_ticks($pid), -s $node->logfile);
sleep 3;
cmp_ok(cpu_ticks($pid) - $ticks, '<=', 1, 'it idles');
is($node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'hyperband launcher'"), $pid, 'and lives');
is(scalar(grep { !/LOG:  (statement|checkpoint)/ } split /\n/, slurp_file($node->logfile, $log)), 0, 'quietly');
$node->safe_psql('postgres', 'DROP DATABASE d15 WITH (FORCE); DROP DATABASE d1; CREATE DATABASE copy TEMPLATE d7; DROP DATABASE copy');
is(scalar(grep { /ERROR|FATAL|PANIC/ && !/terminat|shutting down|recovery mode|not yet accepting|starting up/ } split /\n/, slurp_file($node->logfile)), 0, 'no error in the log')
  or diag(grep { /ERROR|FATAL|PANIC/ } split /\n/, slurp_file($node->logfile));

# One that is terminated comes back, after a while.
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
ok(wait_for(sub { $node->safe_psql('postgres', "$launcher AND pid <> $pid") == 1 }, 60), 'a launcher that was terminated is started again');

# A place that others had: a parallel query holds the last worker slot when a study is made, and no supervisor will end.
$node->append_conf('postgresql.conf', "max_worker_processes = 2\nmax_logical_replication_workers = 0");
$node->restart;
wait_for(sub { $node->safe_psql('postgres', "$launcher AND wait_event = 'Extension'") == 1 }, 30) or BAIL_OUT('the launcher is not idle');
my ($out, $err) = ('', '');
my $holder = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'SET force_parallel_mode = on', '-c', 'SET max_parallel_workers_per_gather = 1', '-c', 'SELECT pg_sleep(300)' ],
	'<', '/dev/null', '>', \$out, '2>', \$err);
ok(wait_for(sub { $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker'") == 1 }, 10), 'a parallel query has the last worker slot');
my $late = tune($node, $call);
sleep 0.5;
is(state_of($node, $late), 'queued', 'a study made now is queued');
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(300)' AND leader_pid IS NULL");
$holder->finish;
ok(wait_for(sub { state_of($node, $late) eq 'done' }, 60), 'the launcher starts it later, though nobody waits for it');

# pg_upgrade with the library loaded on both sides, from a server with something to go on with.
@with = grep { $_ ne 'd15' } @with;
$study = training_study($node, $call, 0.1);
$node->safe_psql('postgres', 'ALTER DATABASE d3 ALLOW_CONNECTIONS true');
$node->stop;
my $new = PostgreSQL::Test::Cluster->new('upgraded');
$new->init;
$new->append_conf('postgresql.conf', "shared_preload_libraries = 'hyperband'\nmax_worker_processes = 16\ntimezone = 'UTC'");
my $bin = $node->config_data('--bindir');
chdir $PostgreSQL::Test::Utils::tmp_check or BAIL_OUT($!);
command_ok(
	[ 'pg_upgrade', '--no-sync', '-d', $node->data_dir, '-D', $new->data_dir, '-b', $bin, '-B', $bin, '-s', $new->host, '-p', $node->port, '-P', $new->port ],
	'pg_upgrade with the launcher configured on both sides');
$new->start;
sleep 1;
is(scalar(supervisor_of($new)), 0, 'afterwards nothing of the other system starts unasked');
is(state_of($new, $study), 'interrupted', 'the study that was running is interrupted');
$new->safe_psql('postgres', "SELECT hyperband_resume($study)");
is(wait_study($new, $study), 'done', 'resumed, it ends');
is(history($new, $study), $expected, 'with the history of the undisturbed study');
$new->stop;
done_testing();
