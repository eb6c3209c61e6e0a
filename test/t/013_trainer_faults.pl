# Trainers that crash, hang, run out of memory or talk nonsense: the server and all sessions go on, what they were at is
# tried three times, and what cannot be done is given up alone.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Hyperband;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_cluster('main');
load_table($node, 'letter');
my $call = "'letter', 'lettr', max_resource => 27, seed => 11, trainers => 2, search_space => '" . big_space() . "'";
my $reference = tune($node, $call);
is(wait_study($node, $reference), 'done', 'the undisturbed study is done');

# A trainer that is stopped says nothing for a minute; the rest of this file runs meanwhile.
my $stopped_study = training_study($node, $call, 0.1);
my ($stopped) = trainers_of($node);
kill 'STOP', $stopped;
my $stopped_at = time;

# A supervisor that cannot write for more than a minute, meanwhile: its trainers have not been silent, it has not listened.
my $held = new_cluster('held');
load_table($held, 'letter');
my $held_study = training_study($held, $call, 0.05);
my ($held_out, $held_err) = ('', '');
my $locker = IPC::Run::start([ 'psql', '-XAtq', '-d', $held->connstr('postgres'), '-c', 'BEGIN', '-c', 'LOCK TABLE hyperband.loss_curve IN SHARE MODE', '-c', 'SELECT pg_sleep(63)', '-c', 'COMMIT' ],
	'<', '/dev/null', '>', \$held_out, '2>', \$held_err);

ok(wait_for(sub { $held->safe_psql('postgres', "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND backend_type = 'hyperband supervisor'") == 1 }, 30),
	'a supervisor cannot write');

# In a copy of the installation whose trainer misbehaves.
my $pg = $node->config_data('--bindir') =~ s{/usr/lib/postgresql/15/bin$}{}r;
my $copy = $node->basedir . '/copy';
my $lib  = "$copy/usr/lib/postgresql/15/lib";
system_or_bail('mkdir', $copy);
system_or_bail('cp', '-a', "$pg/usr", "$copy/");
system_or_bail('mv', "$lib/hyperband_trainer", "$lib/hyperband_trainer.real");
system_or_bail('cp', "$FindBin::RealBin/bad_trainer", "$lib/hyperband_trainer");
chmod 0755, "$lib/hyperband_trainer" or BAIL_OUT($!);
my $bad = new_cluster('bad', install_path => "$copy/usr/lib/postgresql/15");
load_table($bad, 'vowel');
my $small = "'vowel', 'class', max_resource => 9, seed => 2, trainers => 2, search_space => '{\"units\": [8, 16], \"layers\": 1, \"learning_rate\": {\"type\": \"float\", \"low\": 0.001, \"high\": 0.1, \"log\": true}}'";
my $expected;

sub value { return $bad->safe_psql('postgres', $_[0]) }

sub run_bad
{
	my ($mode) = @_;
	unlink "$lib/hyperband_trainer.mode";
	append_to_file("$lib/hyperband_trainer.mode", $mode) if $mode;
	my $study = tune($bad, $small);
	is(wait_study($bad, $study), 'done', $mode ? "a trainer that does \"$mode\": the study is done" : 'a trainer that behaves: the study is done');
	return $study;
}

my $started = value('SELECT pg_postmaster_start_time()');
my $good = run_bad('');
$expected = history($bad, $good);
like($expected, qr/^evaluation\|/m, 'there is a history to compare');

# Now and then: the attempt after it gives what an undisturbed study does.
for my $mode (qw(segv kill9 exit truncated garbage))
{
	my $study = run_bad("$mode once");
	is(history($bad, $study), $expected, "\"$mode\" once: with the history of the undisturbed study");
	ok(!-e "$lib/hyperband_trainer.mode", "\"$mode\" happened");
}

# Always with the same trial: it is given up after three attempts and those in halves of what it was trained with, and the
# study goes on without it.
for my $mode (qw(segv abort kill9 exit truncated oversized garbage babbling stranger empty short counts unknown greeting curve order halfhead))
{
	my $study = run_bad("$mode always");
	is( value(<<"SQL"), 't|t|t|t', "\"$mode\" always: its trial failed after three attempts and more in halves, the others did not");
SELECT count(*) FILTER (WHERE state = 'failed') = 1,
       bool_and(attempt BETWEEN 4 AND 8 AND sqlstate = '38000' AND error LIKE 'trainer process % was lost') FILTER (WHERE state = 'failed'),
       bool_and(state IN ('stopped', 'completed')) FILTER (WHERE state <> 'failed'), bool_and(number <> 1 OR state = 'failed')
  FROM hyperband.trial WHERE study_id = $study
SQL
	is(value("SELECT best_loss < 0.9 AND best_trial_id IS NOT NULL FROM hyperband.study WHERE study_id = $study"), 't', "\"$mode\" always: there is a winner");
}

# With every job: trials are not tried one by one without end.
unlink "$lib/hyperband_trainer.mode";
append_to_file("$lib/hyperband_trainer.mode", 'exit each');
my $before = () = slurp_file($bad->logfile) =~ /trainer process \d+ was lost/g;
my $hopeless = tune($bad, $small =~ s/max_resource => 9/max_resource => 1, scheduler => 'full', n_trials => 200/r);
$bad->psql('postgres', "SELECT hyperband_wait($hopeless)");
is(value("SELECT s.state, count(*), count(*) FILTER (WHERE t.state = 'failed') FROM hyperband.study AS s JOIN hyperband.trial AS t USING (study_id) WHERE study_id = $hopeless GROUP BY s.state"),
	'failed|200|200', 'a trainer that always exits: the study fails, and all its trials');
my $lost = (() = slurp_file($bad->logfile) =~ /trainer process \d+ was lost/g) - $before;
cmp_ok($lost, '<', 200, "after $lost attempts, not some for each trial");
unlink "$lib/hyperband_trainer.mode";
is(value('SELECT pg_postmaster_start_time()'), $started, 'the server was never restarted');
unlike(slurp_file($bad->logfile), qr/terminating any other active server processes|PANIC|invalid memory alloc/, 'and no session was ended');
ok(wait_for(sub { !trainers_of($bad) }, 5), 'no trainer is left');
$bad->stop;

# Not enough memory for some of the networks: those fail, and the server does not notice.
load_table($node, 'vowel');
$node->append_conf('postgresql.conf', "hyperband.trainer_memory = '128MB'");
$node->reload;
my $hungry = tune($node, "'vowel', 'class', max_resource => 3, scheduler => 'full', sampler => 'grid', trainers => 1, search_space => '{\"units\": [8, 3000], \"layers\": 3, \"batch_size\": 32}'");
is(wait_study($node, $hungry), 'done', 'a study with networks beyond hyperband.trainer_memory is done');
is( $node->safe_psql('postgres', "SELECT string_agg(DISTINCT (config ->> 'units') || ' ' || state || coalesce(' ' || sqlstate, ''), ', ' ORDER BY (config ->> 'units') || ' ' || state || coalesce(' ' || sqlstate, '')) FROM hyperband.trial WHERE study_id = $hungry"),
	'3000 failed 53200, 8 completed', 'they alone failed, for lack of memory');
$node->append_conf('postgresql.conf', "hyperband.trainer_memory = '4GB'");
$node->reload;

ok(wait_for(sub { !alive($stopped) }, 90), sprintf('a stopped trainer is given up after %.0f s', time - $stopped_at));
is(wait_study($node, $stopped_study), 'done', 'its study is done');
is(history($node, $stopped_study), history($node, $reference), 'with the history of the undisturbed study');
unlike(slurp_file($node->logfile), qr/terminating any other active server processes|PANIC/, 'and no session was ended');

$locker->finish;
is(wait_study($held, $held_study), 'done', 'a study whose supervisor could not write for a minute is done');
is(history($held, $held_study), history($node, $reference), 'with the history of the undisturbed study');
unlike(slurp_file($held->logfile), qr/was lost/, 'and none of its trainers was given up');
$held->stop;

$node->stop;
done_testing();
