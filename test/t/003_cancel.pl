# Cancel ends a study in the middle of training in less than 0.2 s, until no trainer exists.
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
my $call = "'letter', 'lettr', max_resource => 100000, scheduler => 'full', n_trials => 8, trainers => 2, search_space => '" . big_space() . "'";

# Each trial is trained at a stretch, far longer than anybody here waits.
# The command is written to a session that is already there: connecting is not part of cancelling.
for my $round (1 .. 3)
{
	my $study = training_study($node, "$call, seed => $round", -1);
	my @trainers = trainers_of($node);
	my ($in, $out, $err) = ('', '', '');
	my $session = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$in, '>', \$out, '2>', \$err,
		IPC::Run::timeout(60));
	$in = "SELECT 'ready';\n";
	$session->pump until $out =~ /ready/;
	$out = '';
	$in  = "SELECT hyperband_cancel($study);\n";
	my $start = time;
	$session->pump_nb;
	while (grep { alive($_) } @trainers)
	{
		last if time - $start > 2 * $patience;
		$session->pump_nb;
		sleep 0.001;
	}
	my $took = time - $start;
	$session->pump until $out =~ /\n/;
	$session->finish;
	cmp_ok($took, '<', $patience, sprintf('round %d: %d trainers were gone after %.0f ms', $round, scalar @trainers, 1000 * $took));
	is($out, "t\n", 'the call says that it changed something');
	is($node->safe_psql('postgres', "SELECT hyperband_wait($study)"), 'cancelled', 'the study is cancelled');
	is($node->safe_psql('postgres', "SELECT hyperband_cancel($study)"), 'f', 'cancelling it again changes nothing');
	is( $node->safe_psql('postgres', "SELECT count(*) FROM hyperband.trial WHERE study_id = $study AND state IN ('waiting', 'running')"),
		0, 'no trial is left open');
}

# A cancelled study can be taken up again.
my $small = "'letter', 'lettr', max_resource => 9, trainers => 2, seed => 5, search_space => '" . big_space() . "'";
my $reference = tune($node, $small);
is(wait_study($node, $reference), 'done', 'the undisturbed study is done');
my $study = training_study($node, $small, 0.1);
$node->safe_psql('postgres', "SELECT hyperband_cancel($study)");
is($node->safe_psql('postgres', "SELECT hyperband_wait($study)"), 'cancelled', 'a further one is cancelled');
$node->safe_psql('postgres', "SELECT hyperband_resume($study)");
is(wait_study($node, $study), 'done', 'resumed, it ends');
is(history($node, $study), history($node, $reference), 'with the history of the undisturbed study');

# A queued one: its supervisor has not begun.
$node->append_conf('postgresql.conf', 'hyperband.max_studies = 1');
$node->reload;
my $first  = training_study($node, $call, -1);
my $second = tune($node, $call);
sleep 1;
is(state_of($node, $second), 'queued', 'with hyperband.max_studies = 1 the second study waits');
is(scalar(supervisor_of($node)), 1, 'without a supervisor');
is($node->safe_psql('postgres', "SELECT hyperband_cancel($second)"), 't', 'a queued study can be cancelled');
is(state_of($node, $second), 'cancelled', 'at once');
my $third = tune($node, $small);
$node->safe_psql('postgres', "SELECT hyperband_cancel($first)");
is(wait_study($node, $third), 'done', 'and the next in the queue runs when the first has ended');

$node->stop;
done_testing();
