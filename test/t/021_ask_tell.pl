# The demo's outside workers: two at once find what one alone finds, though each goes on with trials that the other began.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Hyperband;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my ($python) = grep { system("$_ -c 'import numpy, psycopg' 2>/dev/null") == 0 } qw(/usr/bin/python3 python3);
plan skip_all => 'python3 with numpy and psycopg is missing' unless $python;
my $program = -e "$FindBin::RealBin/../demo/ask_tell.py" ? "$FindBin::RealBin/../demo/ask_tell.py" : "$ENV{HYPERBAND_DATA}/ask_tell.py";
$ENV{OPENBLAS_NUM_THREADS} = 1;
my $node = new_cluster('main');

sub value { return $node->safe_psql('postgres', $_[0]) }

my $space = q({"rate": {"type": "float", "low": 1e-4, "high": 10, "log": true}, "decay": {"type": "float", "low": 1e-7, "high": 1, "log": true}});

sub new_study { return value("SELECT hyperband_create_study('$space', max_resource => 81, seed => 7)") }

# start(STUDY[, DATABASE]): a worker on it; its output is collected.
sub start
{
	my ($study, $database) = @_;
	my ($out, $err) = ('', '');
	my $run = IPC::Run::start([ $python, $program, $node->connstr($database // 'postgres'), defined $study ? $study : () ], '<', \undef, '>', \$out, '2>', \$err);
	return { run => $run, out => \$out, err => \$err };
}

# ends_well(WORKER, NAME)
sub ends_well
{
	my ($worker, $name) = @_;
	$worker->{run}->finish;
	ok($worker->{run}->result(0) == 0 && ${ $worker->{out} } =~ /^best error and configuration: 0\.\d+ /m, "$name comes to the end")
	  or diag(${ $worker->{out} } . ${ $worker->{err} });
}

my $alone = new_study();
ends_well(start($alone), 'a worker alone');

# Both are there before either is given a trial: an ask keeps others waiting until its transaction ends.
my $shared = new_study();
my $first  = $node->background_psql('postgres');
$first->query_safe("BEGIN; SELECT count(*) FROM hyperband_ask($shared)");
my @workers = (start($shared), start($shared));
ok(wait_for(sub { value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%hyperband_ask%' AND wait_event_type = 'Lock'") == 2 }),
	'two workers wait for their first trial');
$first->query_safe('ROLLBACK');
$first->quit;
ends_well($_, 'one of two') for @workers;

is(value("SELECT state FROM hyperband.study WHERE study_id = $shared"), 'done', 'their study is done');
my $results = 'SELECT t.number, e.resource, e.loss FROM hyperband.evaluation e JOIN hyperband.trial t USING (trial_id) WHERE e.study_id =';
cmp_ok(value("SELECT count(*) FROM ($results $shared) r"), '>', 100, 'it has more than a hundred results');
is(value(<<"SQL"), '', 'all as of the worker alone');
SELECT * FROM ($results $alone) a FULL JOIN ($results $shared) b USING (number, resource)
 WHERE (abs(a.loss - b.loss) < 0.0015) IS NOT TRUE ORDER BY 1, 2
SQL

# Without a study it makes one.
my $made = start();
ends_well($made, 'a worker without a study');
like(${ $made->{out} }, qr/^study \d+; further workers: /, 'it says which study it has made');
# A database without an encoding, as initdb makes them where no locale is set.
$node->safe_psql('postgres', "CREATE DATABASE plain TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'");
install_hyperband($node, 'plain');
ends_well(start($node->safe_psql('plain', "SELECT hyperband_create_study('$space', max_resource => 9)"), 'plain'), 'a worker in a database without an encoding');

$node->stop;
done_testing();
