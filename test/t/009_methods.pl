# Studies whose trials are drawn one after another, and those without barriers, when trainers and servers die under them.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Hyperband;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('main');
load_table($node, 'letter');
my $call = "'letter', 'lettr', features => ARRAY['x_box','y_box','width','high','onpix','x_bar','y_bar','x2bar','y2bar','xybar','x2ybr','xy2br','x_ege','xegvy','y_ege','yegvx'], "
  . "seed => 7, trainers => 2, search_space => '" . big_space() . "'";

sub value
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# Lets the study get so far, crashes the server, and resumes.
sub crashed
{
	my ($arguments, $share) = @_;
	my $study = training_study($node, $arguments, $share);
	$node->stop('immediate');
	$node->start;
	is(state_of($node, $study), 'interrupted', 'the study is interrupted');
	value("SELECT hyperband_resume($study)");
	is(wait_study($node, $study), 'done', 'resumed, it ends');
	return $study;
}

# Waves: what a sampler learns from is the same after a crash in the middle.
for my $method (
	[ 'tpe x hyperband', "sampler => 'tpe', max_resource => 9" ],
	[ 'gp x full',       "sampler => 'gp', scheduler => 'full', max_resource => 2, n_trials => 24" ],
	[ 'rows',            "sampler => 'tpe', resource => 'rows', max_resource => 9, options => '{\"epochs\": 3}'" ],
	[ 'racing of folds', "scheduler => 'racing', resource => 'folds', max_resource => 5, n_trials => 8, options => '{\"epochs\": 2}'" ],
	[ 'infinite',        "max_resource => NULL, eta => 2, n_trials => 40" ])
{
	my ($name, $arguments) = @$method;
	my $reference = tune($node, "$call, $arguments");
	is(wait_study($node, $reference), 'done', "$name: the undisturbed study is done");
	my $study = crashed("$call, $arguments", 0.3);
	is(history($node, $study), history($node, $reference), "$name: with the history of the undisturbed study, bit for bit");
}

# asha: lost trainers and a lost server leave a log without contradictions and no work twice.
my $asha = "$call, scheduler => 'asha', max_resource => 9, n_trials => 30";

# Starts, results and promotions: positions in the log, and a decision before each result.
sub log_is_sound
{
	my ($study, $name) = @_;
	is( value(<<"SQL"), 't', "$name: positions in the log ascend without a gap");
SELECT count(*) = max(seq) AND count(DISTINCT seq) = max(seq) FROM (
  SELECT started_seq FROM hyperband.trial WHERE study_id = $study UNION ALL
  SELECT seq FROM hyperband.evaluation WHERE study_id = $study AND promoted UNION ALL
  SELECT result_seq FROM hyperband.evaluation WHERE study_id = $study) l (seq)
SQL
	is( value(<<"SQL"), 't', "$name: each result comes after its start, each promotion after its result");
SELECT bool_and(e.result_seq > coalesce(b.seq, t.started_seq) AND (NOT e.promoted OR e.seq > e.result_seq))
  FROM hyperband.evaluation e JOIN hyperband.trial t USING (trial_id)
  LEFT JOIN hyperband.evaluation b ON b.trial_id = e.trial_id AND b.rung = e.rung - 1 WHERE e.study_id = $study
SQL
	is(value("SELECT count(*) FROM hyperband.trial WHERE study_id = $study AND state NOT IN ('stopped', 'completed')"), 0, "$name: no trial is left open");
	is(value("SELECT resource_spent = (SELECT sum(resource) FROM hyperband.trial WHERE study_id = $study) FROM hyperband.study WHERE study_id = $study"),
		't', "$name: nothing was counted twice");
	is( value("SELECT count(*) = (SELECT sum(resource) FROM hyperband.trial WHERE study_id = $study) FROM hyperband.loss_curve WHERE study_id = $study"),
		't', "$name: nor trained twice");
	is(value("SELECT count(*) FROM hyperband.trial WHERE study_id = $study"), 30, "$name: as many trials as were asked for");
}

my $study = training_study($node, $asha, 0.2);
ok(kill_at_work($node, $study), 'asha, a trainer killed: a further attempt is on record');
is(wait_study($node, $study), 'done', 'asha, a trainer killed: the study is done');
log_is_sound($study, 'asha, a trainer killed');

log_is_sound(crashed($asha, 0.3), 'asha, the server crashed');
log_is_sound(crashed("$asha, sampler => 'tpe'", 0.3), 'tpe x asha, the server crashed');

# Cancelled in the middle, and resumed.
$study = training_study($node, $asha, 0.3);
value("SELECT hyperband_cancel($study)");
is(wait_study($node, $study), 'cancelled', 'asha can be cancelled');
value("SELECT hyperband_resume($study)");
is(wait_study($node, $study), 'done', 'and resumed');
log_is_sound($study, 'asha, cancelled');

$study = training_study($node, $asha, 0.1);
value("SELECT hyperband_cancel($study)");
wait_study($node, $study);
value("SELECT hyperband_drop($study)");
is(value("SELECT count(*) FROM hyperband.trial WHERE study_id = $study"), 0, 'drop leaves no rows');

$node->stop;
done_testing();
