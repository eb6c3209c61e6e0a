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
my $call = "'letter', 'lettr', max_resource => 27, seed => 11, trainers => 2, search_space => '" . big_space() . "'";
my $quick = "'vowel', 'class', model => 'linear', max_resource => 3, name => 'vowels'";
my $reference = tune($node, $call);
is(wait_study($node, $reference), 'done', 'the undisturbed study is done');
my $expected = history($node, $reference);
my $model = tune($node, $quick);
is(wait_study($node, $model), 'done', 'there is a model');
my $space = q('{"x": {"type": "float", "low": 0, "high": 1}}');
my $external = $node->safe_psql('postgres', "SELECT hyperband_create_study($space, max_resource => 9)");
$node->safe_psql('postgres', 'CREATE FUNCTION f(jsonb, int) RETURNS float8 LANGUAGE sql AS $$ SELECT 1.0::float8 $$; CREATE ROLE other');
# so that every table has rows
$node->safe_psql('postgres', "SELECT hyperband_grant('vowels', 'other')");
$node->safe_psql('postgres', "SELECT hyperband_tell(trial_id, attempt, to_resource, number) FROM (SELECT a.*, row_number() OVER (ORDER BY trial_id) AS number FROM hyperband_ask($external, 12) a) a WHERE number <= 9");

# everything(NODE[, DATABASE]): every row of every table, in the order of their text; predictions.
sub everything
{
	my ($at, $database) = @_;
	$database //= 'postgres';
	my $tables = $at->safe_psql($database, "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'hyperband'::regnamespace AND relkind = 'r'");
	my %rows = map { $_ => $at->safe_psql($database, "SELECT coalesce(md5(string_agg(t::text, chr(10) ORDER BY t::text)), '') || ' ' || count(*) FROM hyperband.$_ t") } split / /, $tables;
	$rows{predictions} = $at->safe_psql($database, "SELECT md5(string_agg(hyperband_probabilities('vowels', v)::text, chr(10) ORDER BY id)) FROM vowel v");
	$rows{classes} = $at->safe_psql($database, "SELECT md5(string_agg(hyperband_classify('public.letter.lettr', l), '' ORDER BY id)) FROM letter l WHERE id < 500");
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
# so that it stays in the middle, however long the rest takes
my ($supervisor) = supervisor_of($node);
kill 'STOP', $supervisor, trainers_of($node);
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
is($standby->safe_psql('postgres', "SELECT hyperband_wait($queued, '2 seconds')"), 'queued', 'as can the queued one, which nobody starts there');
is($standby->safe_psql('postgres', 'SELECT count(*) > 5 FROM hyperband.leaderboard'), 't', 'results can be read');
is_deeply([ @{ everything($standby) }{qw(predictions classes model model_data)} ], [ @{ everything($node) }{qw(predictions classes model model_data)} ],
	'and predictions are those of the primary');

kill 'CONT', $supervisor;
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
my $here = everything($node);
is(join(' ', grep { $here->{$_} =~ / 0$/ } sort keys %$here), '', 'no table is empty');
for my $format (qw(custom plain directory))
{
	my $other = new_cluster("restored_$format", bare => 1);
	$other->safe_psql('postgres', 'CREATE ROLE other');
	my $dump = $node->basedir . "/dump_$format";
	command_ok([ 'pg_dump', "--format=$format", '-f', $dump, $node->connstr('postgres') ], "$format: dumped");
	# several processes at once do not know in which order the extension's tables must be filled: no foreign key is looked at
	local $ENV{PGOPTIONS} = $format eq 'directory' ? '-c session_replication_role=replica' : '';
	command_ok(
		$format eq 'plain'
		? [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $other->connstr('postgres'), '-f', $dump ]
		: [ 'pg_restore', '--exit-on-error', $format eq 'directory' ? '--jobs=3' : (), '-d', $other->connstr('postgres'), $dump ],
		"$format: restored");
	$ENV{PGOPTIONS} = '';
	is_deeply(everything($other), $here, "$format: every row and every prediction is equal");
	is(state_of($other, $_), 'interrupted', "$format: what was running or queued is interrupted") for $study, $queued;
	$other->safe_psql('postgres', "SELECT hyperband_resume($study)");
	is(wait_study($other, $study), 'done', "$format: resumed there, it ends");
	is(history($other, $study), $expected, "$format: with the history of the undisturbed study");
	ok(wait_for(sub { !supervisor_of($other) }, 30), "$format: then nothing runs");
	is(state_of($other, $queued), 'interrupted', "$format: what was queued elsewhere is not started");
	$other->stop;
}

# Every release before this one: there is a way from it, and on this way nothing is lost.
my @released = qw(1.0);
my $scripts  = $node->config_data('--sharedir') . '/extension/hyperband--*.sql';
my $default = $node->safe_psql('postgres', "SELECT default_version FROM pg_available_extensions WHERE name = 'hyperband'");
my @older = grep { $_ ne $default } map { m{/hyperband--([^/-]+)\.sql$} } glob $scripts;
for my $version (@older)
{
	my $database = "from $version";
	$node->safe_psql('postgres', qq(CREATE DATABASE "$database"));
	$node->safe_psql($database, "CREATE EXTENSION hyperband VERSION '$version'");
	load_table($node, $_, $_, $database) for qw(letter vowel);
	for my $arguments ($quick, $call)
	{
		my $id = $node->safe_psql($database, "SELECT hyperband_tune($arguments)");
		is($node->safe_psql($database, "SELECT hyperband_wait($id)"), 'done', "version $version: a study is done");
	}
	my $before = everything($node, $database);
	my ($status, undef, $err) = $node->psql($database, "ALTER EXTENSION hyperband UPDATE TO '$default'");
	is($status, 0, "there is a way from version $version to $default") or diag($err);
	my $after = everything($node, $database);
	is_deeply({ map { $_ => $after->{$_} } keys %$before }, $before, "from version $version: every row and every prediction is equal");
}
is(join(' ', sort @older), join(' ', grep { $_ ne $default } @released), 'every release is here: ' . @older . ' before the present one');

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
is(state_of($new, $queued), 'interrupted', 'pg_upgrade: what was queued is not started');
$new->stop;
done_testing();
