# The same rows on another server: a hot standby and after its promotion, a dump that is restored, pg_upgrade.  What was
# found out is there to the bit, nothing starts unasked, and what was interrupted goes on.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Hyperband;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_cluster('main', allows_streaming => 1);
load_table($node, 'letter');
load_table($node, 'vowel');
my $call = "'letter', 'lettr', max_resource => 9, seed => 11, trainers => 2, options => '{\"max_rows\": 8000}', search_space => '" . big_space() . "'";
my $quick = "'vowel', 'class', model => 'linear', max_resource => 3, name => 'vowels'";
my $reference = tune($node, $call);
is(wait_study($node, $reference), 'done', 'the undisturbed study is done');
my $expected = history($node, $reference);
my $model = tune($node, $quick);
is(wait_study($node, $model), 'done', 'there is a model');
my $space = q('{"x": {"type": "float", "low": 0, "high": 1}}');
my $external = $node->safe_psql('postgres', "SELECT hyperband_create_study($space)");
$node->safe_psql('postgres', 'CREATE FUNCTION f(jsonb, int) RETURNS float8 LANGUAGE sql AS $$ SELECT 1.0::float8 $$; CREATE ROLE other');

# everything(NODE): every row of every table, in the order of their text; predictions.
sub everything
{
	my ($at) = @_;
	my $tables = $at->safe_psql('postgres', "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'hyperband'::regnamespace AND relkind = 'r'");
	my %rows = map { $_ => $at->safe_psql('postgres', "SELECT coalesce(md5(string_agg(t::text, chr(10) ORDER BY t::text)), '') || ' ' || count(*) FROM hyperband.$_ t") } split / /, $tables;
	$rows{predictions} = $at->safe_psql('postgres', "SELECT md5(string_agg(hyperband_probabilities('vowels', v)::text, chr(10) ORDER BY id)) FROM vowel v");
	$rows{classes} = $at->safe_psql('postgres', "SELECT md5(string_agg(hyperband_classify('public.letter.lettr', l), '' ORDER BY id)) FROM letter l WHERE id < 500");
	return \%rows;
}

# A standby, with a study in the middle of its training and one in the queue.
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->append_conf('postgresql.conf', "shared_preload_libraries = 'hyperband'"); # with the launcher, too
$standby->start;
$node->append_conf('postgresql.conf', 'hyperband.max_studies = 1');
$node->reload;
my $study  = training_study($node, $call, 0.1);
# so that it stays in the middle: nobody is waiting for them but the supervisor's watchdog, a minute long
kill 'STOP', trainers_of($node);
my $queued = tune($node, $quick);
$node->wait_for_catchup($standby);
my $before = $standby->safe_psql('postgres', 'SELECT count(*) FROM hyperband.study');
for my $write (
	"SELECT hyperband_tune($quick)", "CALL hyperband_run($quick)", "SELECT hyperband_cancel($study)", "SELECT hyperband_cancel($queued)", "SELECT hyperband_resume($study)",
	"SELECT hyperband_drop($reference)", "SELECT hyperband_grant('vowels', 'other')", "SELECT hyperband_revoke('vowels', 'other')",
	"SELECT hyperband_promote('vowels', 1)", "SELECT hyperband_drop_model('vowels')", "SELECT hyperband_create_study($space)",
	"SELECT hyperband_ask($external)", "SELECT hyperband_tell(1, 1, 1, 0.5)", "SELECT hyperband_minimize('f(jsonb, integer)', $space)")
{
	like(error_of($standby, "SET statement_timeout = '5s'; $write"), qr/ERROR:  25006: /, "on a standby: $write");
}
is(state_of($standby, $study), 'running', 'there the running study is running');
is($standby->safe_psql('postgres', "SELECT hyperband_wait($study, '1 second')"), 'running', 'and can be waited for');
is($standby->safe_psql('postgres', 'SELECT count(*) > 5 FROM hyperband.leaderboard'), 't', 'results can be read');
is_deeply([ @{ everything($standby) }{qw(predictions classes model model_data)} ], [ @{ everything($node) }{qw(predictions classes model model_data)} ],
	'and predictions are those of the primary');

$node->stop('immediate');
$standby->promote;
sleep 2;
is(scalar(supervisor_of($standby)), 0, 'after promotion nothing starts from an old request');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM hyperband.study'), $before, 'and no study was added');
is(state_of($standby, $study), 'interrupted', 'the study that was running is interrupted');
$standby->safe_psql('postgres', "SELECT hyperband_resume($study)");
is(wait_study($standby, $study), 'done', 'resumed there, it ends');
is(history($standby, $study), $expected, 'with the history of the undisturbed study');
is(wait_study($standby, $queued), 'done', 'and the queued one runs when somebody waits for it');
$standby->stop;

# Dump and restore, and pg_upgrade, of studies in every state.
$node->start;
is(state_of($node, $study), 'interrupted', 'at home it is interrupted as well');
$node->safe_psql('postgres', "SELECT hyperband_cancel($queued)");
my $here = everything($node);
my $dump = $node->basedir . '/dump';
for my $format (qw(custom plain))
{
	my $other = new_cluster("restored_$format", bare => 1);
	command_ok([ 'pg_dump', "--format=$format", '-f', $dump, $node->connstr('postgres') ], "$format: dumped");
	command_ok(
		$format eq 'plain'
		? [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $other->connstr('postgres'), '-f', $dump ]
		: [ 'pg_restore', '--exit-on-error', '-d', $other->connstr('postgres'), $dump ],
		"$format: restored");
	is_deeply(everything($other), $here, "$format: every row and every prediction is equal");
	is(state_of($other, $study), 'interrupted', "$format: the interrupted study is interrupted");
	$other->safe_psql('postgres', "SELECT hyperband_resume($study)");
	is(wait_study($other, $study), 'done', "$format: resumed there, it ends");
	is(history($other, $study), $expected, "$format: with the history of the undisturbed study");
	$other->stop;
}

$node->stop;
my $new = PostgreSQL::Test::Cluster->new('upgraded');
$new->init;
$new->append_conf('postgresql.conf', "max_worker_processes = 16\ntimezone = 'UTC'");
my $bin = $node->config_data('--bindir');
chdir $PostgreSQL::Test::Utils::tmp_check or BAIL_OUT($!);
command_ok(
	[ 'pg_upgrade', '--no-sync', '-d', $node->data_dir, '-D', $new->data_dir, '-b', $bin, '-B', $bin, '-s', $new->host, '-p', $node->port, '-P', $new->port ],
	'pg_upgrade from 15 to 15');
$new->start;
is_deeply(everything($new), $here, 'pg_upgrade: every row and every prediction is equal');
is(scalar(supervisor_of($new)), 0, 'pg_upgrade: nothing starts unasked');
is(state_of($new, $study), 'interrupted', 'pg_upgrade: the interrupted study is interrupted');
$new->safe_psql('postgres', "SELECT hyperband_resume($study)");
is(wait_study($new, $study), 'done', 'pg_upgrade: resumed, it ends');
is(history($new, $study), $expected, 'pg_upgrade: with the history of the undisturbed study');
$new->stop;
done_testing();
