# Transactions, savepoints, standbys, time limits, worker slots, dumps, and databases that are dropped.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Hyperband;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_cluster('main', allows_streaming => 1, conf => "max_prepared_transactions = 5\nlog_min_messages = debug1");
load_table($node, 'vowel');
load_table($node, 'letter');
my $quick = "'vowel', 'class', model => 'linear', max_resource => 3";
my $long  = "'letter', 'lettr', max_resource => 81, trainers => 2, search_space => '" . big_space() . "'";
my $count = 'SELECT count(*) FROM hyperband.study';

# What is rolled back leaves nothing behind.
my $log = -s $node->logfile;
$node->safe_psql('postgres', "BEGIN; SELECT hyperband_tune($quick); ROLLBACK");
is($node->safe_psql('postgres', $count), 0, 'a rolled-back call leaves no study');
$node->safe_psql('postgres', "BEGIN; SAVEPOINT a; SELECT hyperband_tune($quick); ROLLBACK TO a; COMMIT");
is($node->safe_psql('postgres', $count), 0, 'nor does a savepoint that was rolled back');
$node->safe_psql('postgres', "DO \$\$ BEGIN BEGIN PERFORM hyperband_tune($quick); RAISE EXCEPTION 'x'; EXCEPTION WHEN raise_exception THEN NULL; END; END \$\$");
is($node->safe_psql('postgres', $count), 0, 'nor a block that raised');
like(error_of($node, "BEGIN; SELECT hyperband_tune($quick); PREPARE TRANSACTION 'p'"), qr/ERROR:  0A000/, 'PREPARE TRANSACTION is refused');
is($node->safe_psql('postgres', $count), 0, 'and leaves nothing');
sleep 0.5;
my $started = qr/(?:registering|starting) background worker(?: process)? "hyperband supervisor"/;
unlike(slurp_file($node->logfile, $log), $started, 'no supervisor was started by any of them');

my $kept = $node->safe_psql('postgres', "BEGIN; SAVEPOINT a; SELECT hyperband_tune($quick); RELEASE a; SAVEPOINT b; SAVEPOINT c; ROLLBACK TO b; COMMIT");
is(wait_study($node, $kept), 'done', 'a released savepoint counts');
like(slurp_file($node->logfile, $log), $started, 'whose supervisor the log has');
like(error_of($node, "BEGIN; SELECT hyperband_wait(hyperband_tune($quick)); COMMIT"),
	qr/ERROR:  55000: .*HINT:  /s, 'waiting for what this transaction made is an error with a hint');
like(error_of($node, "BEGIN READ ONLY; SELECT hyperband_tune($quick)"),
	qr/ERROR:  25006: cannot execute hyperband_tune\(\) in a read-only transaction/, 'a read-only transaction');
is($node->safe_psql('postgres', "BEGIN; SELECT hyperband_tune($quick); SELECT hyperband_tune($quick); COMMIT") =~ tr/\n//, 1, 'two in one transaction');
ok(wait_for(sub { $node->safe_psql('postgres', "$count WHERE state = 'done'") == 3 }, 60), 'are both done');

# Interrupting a wait does not touch the study; a timeout of its own returns the state.
my $study = training_study($node, $long, 0.001);
like(error_of($node, "SET statement_timeout = '300ms'; SELECT hyperband_wait($study)"), qr/ERROR:  57014/, 'a waiting session can be cancelled');
my $begin = time;
is($node->safe_psql('postgres', "SELECT hyperband_wait($study, '500 milliseconds')"), 'running', 'the timeout of hyperband_wait gives the state');
cmp_ok(time - $begin, '<', $patience, 'when it is over');
is(state_of($node, $study), 'running', 'the study goes on');
$node->safe_psql('postgres', "SELECT hyperband_cancel($study)");
wait_study($node, $study);

# A time limit ends a study well, with the best so far.
$begin = time;
$study = tune($node, "$long, time_limit => '4 seconds', name => 'limited'");
is(wait_study($node, $study), 'done', 'a study with a time limit is done');
cmp_ok(time - $begin, '<', 4 + $patience, 'in time');
is($node->safe_psql('postgres', "SELECT resource_spent < resource_planned AND best_loss IS NOT NULL FROM hyperband.study WHERE study_id = $study"),
	't', 'before it spent what it planned');
is($node->safe_psql('postgres', "SELECT count(*) FROM hyperband.model WHERE name = 'limited' AND is_current"), 1, 'its best trial is the model');

# More data than is allowed.
$node->append_conf('postgresql.conf', "hyperband.max_data_memory = '1MB'");
$node->reload;
my $large = tune($node, $long);
like(error_of($node, "SELECT hyperband_wait($large)"), qr/ERROR:  53400: training data needs .*, more than hyperband.max_data_memory \(.*HINT:  .*max_rows/s, 'data beyond hyperband.max_data_memory');
$node->append_conf('postgresql.conf', "hyperband.max_data_memory = '1GB'");
$node->reload;

# A hot standby, which has a study that waits for a worker's result and one that has ended.
my $worked = $node->safe_psql('postgres', q(SELECT hyperband_create_study('{"x": {"type": "float", "low": 0, "high": 1}}', max_resource => 3)));
my $trial = $node->safe_psql('postgres', "SELECT trial_id FROM hyperband_ask($worked)");
my $ended = $node->safe_psql('postgres', q(SELECT hyperband_create_study('{"x": {"type": "float", "low": 0, "high": 1}}', 'random', 'full', 3, n_trials => 3)));
$node->safe_psql('postgres', "SELECT hyperband_tell(trial_id, attempt, to_resource, random()) FROM hyperband_ask($ended, 3)");
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
like(error_of($standby, "SELECT hyperband_tune($quick)"), qr/ERROR:  25006/, 'no study on a standby');
for my $call (
	"hyperband_create_study('{\"x\": 1}')", "hyperband_minimize('pg_sleep(float8)'::regprocedure, '{\"x\": 1}')",
	"hyperband_ask($worked)", "hyperband_tell($trial, 1, 1, 0.5)", "hyperband_cancel($worked)", "hyperband_resume($worked)",
	"hyperband_drop($worked)")
{
	my ($name) = $call =~ /^(\w+)/;
	like(error_of($standby, "SELECT $call"), qr/ERROR:  25006: cannot execute $name\(\) during recovery|ERROR:  25006: cannot execute $name\(\) in a read-only transaction/, "no $name on a standby");
}
is($standby->safe_psql('postgres', "SELECT count(*) > 0 FROM hyperband_simulate($ended, 'halving')"), 't', 'but replays of recorded curves');
is($standby->safe_psql('postgres', "SELECT hyperband_classify('limited', l) IS NOT NULL FROM letter l WHERE id = 1"), 't', 'but predictions');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM hyperband_plan(27)'), 10, 'and plans');
$standby->stop;

# A dump with a study in the middle of training.
$study = training_study($node, $long, 0.001);
my $dump = $node->basedir . '/dump.sql';
command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'pg_dump while a study runs');
$node->safe_psql('postgres', "SELECT hyperband_cancel($study)");
my $other = new_cluster('restored', bare => 1);
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $other->connstr('postgres'), '-f', $dump ], 'the dump restores into another server');
is(state_of($other, $study), 'interrupted', 'there the study is interrupted');
is(scalar(supervisor_of($other)), 0, 'and nothing starts it unasked');
is($other->safe_psql('postgres', "SELECT hyperband_classify('limited', l) FROM letter l WHERE id = 1"),
	$node->safe_psql('postgres', "SELECT hyperband_classify('limited', l) FROM letter l WHERE id = 1"), 'the model predicts as before');
cmp_ok(tune($other, $quick), '>', $study, 'new studies get new ids');
$other->stop;

# The extension or the database goes away under a running study.
$node->safe_psql('postgres', 'CREATE DATABASE doomed');
install_hyperband($node, 'doomed');
load_table($node, 'letter', 'letter', 'doomed');
my $doomed = $node->safe_psql('doomed', "SELECT hyperband_tune($long)");
ok(wait_for(sub { trainers_of($node) > 0 }, 30), 'a study trains in another database');
$node->safe_psql('doomed', 'DROP EXTENSION hyperband CASCADE');
ok(wait_for(sub { !trainers_of($node) && !supervisor_of($node) }, 10), 'DROP EXTENSION ends it');
install_hyperband($node, 'doomed');
$node->safe_psql('doomed', "SELECT hyperband_tune($long)");
ok(wait_for(sub { trainers_of($node) > 0 }, 30), 'again');
$begin = time;
$node->safe_psql('postgres', 'DROP DATABASE doomed WITH (FORCE)');
cmp_ok(time - $begin, '<', $patience, 'DROP DATABASE WITH (FORCE) takes no time');
ok(wait_for(sub { !trainers_of($node) }, 5), 'and ends it');

# No worker slot is free: the study stays queued and runs later.
$node->append_conf('postgresql.conf', 'max_worker_processes = 2');
$node->restart;
my $first = training_study($node, $long, 0.001);
my $second = tune($node, $quick);
sleep 1;
is(state_of($node, $second), 'queued', 'without a free worker slot a study is queued');
is(scalar(supervisor_of($node)), 1, 'and has no supervisor');
$node->safe_psql('postgres', "SELECT hyperband_cancel($first)");
is(wait_study($node, $second), 'done', 'and runs when there is one');

# Three owners, one slot.
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE one LOGIN; CREATE ROLE two LOGIN; CREATE ROLE three LOGIN;
GRANT USAGE ON SCHEMA hyperband TO one, two, three; GRANT SELECT ON vowel TO one, two, three;
SQL
$node->psql('postgres', "SELECT hyperband_tune($quick)", extra_params => [ '-U', $_ ]) for qw(one two three one two three);
ok(wait_for(sub { $node->safe_psql('postgres', "$count WHERE owner::text IN ('one', 'two', 'three') AND state = 'done'") == 6 }, 60),
	'six studies of three owners pass through one worker slot')
  or diag($node->safe_psql('postgres', 'SELECT study_id, owner, state FROM hyperband.progress ORDER BY 1'));

# The trainer program is not there.  In a copy of the installation: other tests use the real one.
my $pg = $node->config_data('--bindir') =~ s{/usr/lib/postgresql/15/bin$}{}r;
my $copy = $node->basedir . '/copy';
system_or_bail('mkdir', $copy);
system_or_bail('cp', '-a', "$pg/usr", "$copy/");
system_or_bail('rm', "$copy/usr/lib/postgresql/15/lib/hyperband_trainer");
my $without = new_cluster('without', install_path => "$copy/usr/lib/postgresql/15");
load_table($without, 'vowel');
my $lost = tune($without, $quick);
like(error_of($without, "SELECT hyperband_wait($lost)"), qr/ERROR:  58P01: could not start trainer ".*hyperband_trainer"/, 'a missing trainer program is named');
is($without->safe_psql('postgres', "SELECT state || ' ' || sqlstate FROM hyperband.study"), 'failed 58P01', 'in the study, too');
$without->stop;
unlike(slurp_file($node->logfile), qr/PANIC|terminating any other active server processes/, 'nothing crashed');

$node->stop;
done_testing();
