# The table changes between a study's beginning and its resumption; several studies in one transaction; names in use.
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

# Cancelled in the middle; a row goes; by default that is an error.
my $study = training_study($node, $call, 0.2);
$node->safe_psql('postgres', "SELECT hyperband_cancel($study)");
is(wait_study($node, $study), 'cancelled', 'a study is cancelled in the middle');
$node->safe_psql('postgres', 'DELETE FROM letter WHERE ctid IN (SELECT ctid FROM letter LIMIT 700)');
$node->safe_psql('postgres', "SELECT hyperband_resume($study)");
like(error_of($node, "SELECT hyperband_wait($study)"), qr/ERROR:  55000: training data has changed since the study began/,
	'other data is an error');

# With on_change reload it goes on, whatever the number of rows.
$study = training_study($node, "$call, options => '{\"on_change\": \"reload\"}'", 0.2);
$node->safe_psql('postgres', "SELECT hyperband_cancel($study)");
is(wait_study($node, $study), 'cancelled', 'a second study is cancelled in the middle');
$node->safe_psql('postgres', 'DELETE FROM letter WHERE ctid IN (SELECT ctid FROM letter LIMIT 700)');
$node->safe_psql('postgres', "SELECT hyperband_resume($study)");
is(wait_study($node, $study), 'done', 'reloaded, it ends');
is($node->safe_psql('postgres', "SELECT count(*) FROM hyperband.trial WHERE study_id = $study AND state NOT IN ('stopped', 'completed')"),
	0, 'and no trial failed');

# Data of another shape cannot go on.
$study = training_study($node, "$call, name => 'shape', options => '{\"on_change\": \"reload\"}'", 0.2);
$node->safe_psql('postgres', "SELECT hyperband_cancel($study)");
wait_study($node, $study);
$node->safe_psql('postgres', "DELETE FROM letter WHERE lettr = 'A'");
$node->safe_psql('postgres', "SELECT hyperband_resume($study)");
like(error_of($node, "SELECT hyperband_wait($study)"), qr/ERROR:  55000: training data has changed its shape since the study began/,
	'a class less is an error');

# A cancel that is on its way is waited for.
for my $next ('resume', 'drop')
{
	my $id = training_study($node, "$call, name => 'next'");
	$node->safe_psql('postgres', "SELECT hyperband_cancel($id)");
	my ($status, $out, $err) = $node->psql('postgres', "SELECT hyperband_$next($id)");
	is($status, 0, "hyperband_$next may follow hyperband_cancel at once") or diag $err;
	$node->safe_psql('postgres', "SELECT hyperband_cancel($id)") if $next eq 'resume';
}

# Two studies of one transaction run side by side.
$node->safe_psql('postgres', "BEGIN; SELECT hyperband_tune($call, name => 'p1'); SELECT hyperband_tune($call, name => 'p2'); COMMIT");
ok( wait_for(
		sub { $node->safe_psql('postgres', "SELECT count(*) FROM hyperband.progress WHERE name IN ('p1', 'p2') AND state = 'running'") == 2 }, 20),
	'two studies of one transaction run at the same time');
$node->safe_psql('postgres', "SELECT hyperband_cancel(study_id) FROM hyperband.study WHERE name IN ('p1', 'p2')");

# A plan nobody can mean, and a name in use.
like(error_of($node, "SELECT hyperband_tune('letter', 'lettr', max_resource => 2000000000)"), qr/ERROR:  54000: study would have \d+ trials/,
	'a plan of a thousand million trials is refused at the call');
my (undef, undef, $err) = $node->psql('postgres',
	"SELECT hyperband_tune('letter', 'x_box', name => 'public.letter.lettr', task => 'regression', max_resource => 1)");
like($err, qr/NOTICE:  model "public.letter.lettr" is for other columns or another task/, 'a name in use for another task is said');

# A column that says nothing is left out of the model: the next study under its name is of the same columns all the same.
$node->safe_psql('postgres', "CREATE TABLE dull AS SELECT n, n % 3 AS c, NULL::int AS nothing FROM generate_series(1, 600) n");
my $dull = "CALL hyperband_run('dull', 'c', max_resource => 1, trainers => 1)";
my ($status, undef, $first) = $node->psql('postgres', $dull);
(undef, undef, my $second) = $node->psql('postgres', $dull);
is($status, 0, 'a table with an empty column is tuned');
unlike($first . $second, qr/without a comparison/, 'twice, and the models are comparable');

done_testing();
