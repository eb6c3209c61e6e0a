# A study from start to end; and one whose supervisor or server dies under it ends with the same history.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Hyperband;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('main');
load_table($node, 'letter');
my $features = "features => ARRAY['x_box','y_box','width','high','onpix','x_bar','y_bar','x2bar','y2bar','xybar','x2ybr','xy2br','x_ege','xegvy','y_ege','yegvx']";
my $call = "'letter', 'lettr', $features, max_resource => 27, seed => 7, trainers => 2, search_space => '" . big_space() . "'";

# Undisturbed.
my $scans = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'letter'";
my $before = $node->safe_psql('postgres', $scans);
my $reference = training_study($node, $call);

# While it trains it holds no transaction, no snapshot and no lock on a table, but for the moments in which it writes.
my ($looks, $quiet) = (0, 0);
while ($looks < 40 && state_of($node, $reference) eq 'running')
{
	$looks++;
	$quiet++ if $node->safe_psql('postgres', <<'SQL') eq 't';
SELECT bool_and(xact_start IS NULL AND backend_xmin IS NULL AND NOT EXISTS
         (SELECT 1 FROM pg_locks l WHERE l.pid = a.pid AND locktype IN ('relation', 'tuple', 'transactionid')))
  FROM pg_stat_activity a WHERE backend_type = 'hyperband supervisor'
SQL
	sleep 0.02;
}
cmp_ok($looks, '>', 10, 'there is time to look at a supervisor that trains');
cmp_ok($quiet, '>', 0.6 * $looks, "it holds no transaction, snapshot or table lock: $quiet of $looks looks");
is(wait_study($node, $reference), 'done', 'the undisturbed study is done');
my $expected = history($node, $reference);
wait_for(sub { !supervisor_of($node) }, 5); # it counts its scans at its end
is($node->safe_psql('postgres', $scans) - $before, 1, 'the table was read once');

is($node->safe_psql('postgres', "SELECT count(*) FROM hyperband.trial WHERE study_id = $reference"),
	46, 'as many trials as the plan for R = 27');
is( $node->safe_psql('postgres', <<"SQL"), 't', 'every rung was reached by as many trials as the plan says');
SELECT bool_and(p.trials = coalesce(e.n, 0)) FROM hyperband_plan(27) p LEFT JOIN
  (SELECT t.bracket, e.rung, count(*) AS n FROM hyperband.evaluation e JOIN hyperband.trial t USING (trial_id)
    WHERE e.study_id = $reference GROUP BY 1, 2) e USING (bracket, rung)
SQL
is( $node->safe_psql('postgres', "SELECT resource_spent = resource_planned FROM hyperband.study WHERE study_id = $reference"),
	't', 'it spent what it planned');
is( $node->safe_psql('postgres', "SELECT count(*) = (SELECT sum(resource) FROM hyperband.trial WHERE study_id = $reference) FROM hyperband.loss_curve WHERE study_id = $reference"),
	't', 'a point of the loss curve for every epoch, and no epoch was trained twice');
is( $node->safe_psql('postgres', "SELECT count(*) FROM hyperband.trial WHERE study_id = $reference AND state NOT IN ('stopped', 'completed', 'diverged')"),
	0, 'no trial is left open');
is($node->safe_psql('postgres', "SELECT best_loss < 0.15 FROM hyperband.study WHERE study_id = $reference"),
	't', 'the best trial is far better than guessing (0.96)');
is( $node->safe_psql('postgres', "SELECT name, version, is_current, family FROM hyperband.model"),
	'public.letter.lettr|1|t|mlp', 'the winner is version 1 of the model');
cmp_ok(
	$node->safe_psql('postgres', "SELECT avg((hyperband_classify('public.letter.lettr', l) IS DISTINCT FROM lettr)::int) FROM letter l"),
	'<', 0.15, 'and classifies the table');

# The supervisor is terminated.
my $study = training_study($node, $call, 0.3);
my @trainers = trainers_of($node);
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'hyperband supervisor'");
ok(wait_for(sub { !supervisor_of($node) }, 5), 'a terminated supervisor ends');
ok(wait_for(sub { !grep { alive($_) } @trainers }, 5), 'and its trainers with it');
is(state_of($node, $study), 'interrupted', 'its study is interrupted');
is($node->safe_psql('postgres', "SELECT hyperband_wait($study)"), 'interrupted', 'waiting for it says so at once');
my $spent = $node->safe_psql('postgres', "SELECT resource_spent FROM hyperband.study WHERE study_id = $study");
$node->safe_psql('postgres', "SELECT hyperband_resume($study)");
is(wait_study($node, $study), 'done', 'resumed, it ends');
is(history($node, $study), $expected, 'with the history of the undisturbed study, bit for bit');
cmp_ok($spent, '>', 0, 'it did not start anew');
is($node->safe_psql('postgres', "SELECT string_agg(version || ':' || is_current, ' ' ORDER BY version) FROM hyperband.model"),
	'1:true 2:false', 'an equal model does not replace the current one');

# The server crashes.
$study = training_study($node, $call, 0.3);
@trainers = trainers_of($node);
$node->stop('immediate');
ok(wait_for(sub { !grep { alive($_) } @trainers }, 10), 'no trainer outlives its server');
$node->start;
is(state_of($node, $study), 'interrupted', 'after a crash of the server the study is interrupted');
$node->safe_psql('postgres', "SELECT hyperband_resume($study)");
is(wait_study($node, $study), 'done', 'resumed after the crash, it ends');
is(history($node, $study), $expected, 'with the history of the undisturbed study, bit for bit');

# Resuming when nothing is left to do, and twice at once.
like(error_of($node, "SELECT hyperband_resume($study)"), qr/ERROR:  55000:/, 'a finished study is not resumed');
$study = training_study($node, $call);
like(error_of($node, "SELECT hyperband_resume($study)"), qr/ERROR:  55000:/, 'nor is a running one');
like(error_of($node, "SELECT hyperband_drop($study)"), qr/ERROR:  55000/, 'nor is it dropped');
$node->safe_psql('postgres', "SELECT hyperband_cancel($study)");
wait_study($node, $study);
$node->safe_psql('postgres', "SELECT hyperband_drop($study)");
is($node->safe_psql('postgres', "SELECT count(*) FROM hyperband.trial WHERE study_id = $study"), 0, 'drop leaves no rows');
ok(wait_for(sub { !trainers_of($node) }, 5), 'and no trainers');

# hyperband_run waits and reports.
my ($status, $out, $err) = $node->psql('postgres',
	"CALL hyperband_run('letter', 'lettr', model => 'linear', $features, name => 'by_run', max_resource => 9)");
is($status, 0, 'hyperband_run succeeds');
like($out, qr/^\d+$/, 'and gives the study');
like($err, qr/NOTICE/, 'and reports on the way');
is(state_of($node, $out), 'done', 'when it returns the study is done');

$node->stop;
done_testing();
