# The same seed gives the same trial history, bit for bit, with one trainer, two or four.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Hyperband;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('main');
load_table($node, 'letter');
load_table($node, 'california_housing', 'housing');

# run(ARGUMENTS, TRAINERS): the history, and how many trainers did a real part of the work.
sub run
{
	my ($arguments, $trainers) = @_;
	my $study = tune($node, "$arguments, trainers => $trainers");
	my %ticks;
	wait_for(
		sub {
			for my $pid (trainers_of($node))
			{
				my $now = cpu_ticks($pid);
				$ticks{$pid} = $now if $now > ($ticks{$pid} // 0);
			}
			return state_of($node, $study) !~ /queued|running/;
		},
		180);
	is(state_of($node, $study), 'done', "trainers => $trainers: done");
	my $total = 0;
	$total += $_ for values %ticks;
	my @busy = grep { $_ > $total / ($trainers * 4) } values %ticks;
	note("CPU ticks: @{[sort { $a <=> $b } values %ticks]}");
	return (history($node, $study), scalar @busy);
}

my $letter = "'letter', 'lettr', max_resource => 9, seed => 42, features => ARRAY['x_box','y_box','width','high','onpix','x_bar','y_bar','x2bar','y2bar','xybar','x2ybr','xy2br','x_ege','xegvy','y_ege','yegvx'], search_space => '" . big_space() . "'";
my ($one) = run($letter, 1);
my ($two) = run($letter, 2);
my ($four, $busy) = run($letter, 4);
like($one, qr/^evaluation\|/m, 'there is a history to compare');
is($two,  $one, 'two trainers: the history of one');
is($four, $one, 'four trainers: the history of one');
is($busy, 4, 'four trainers did a real part of the work');

# Dropout, several batch sizes and every optimizer, on a regression.
my $housing = "'housing', 'median_house_value', task => 'regression', max_resource => 9, seed => -3, search_space => '"
  . '{"batch_size": [32, 64, 128], "optimizer": ["sgd", "momentum", "nesterov", "rmsprop", "adam"], "learning_rate": {"type": "float", "low": 0.0001, "high": 0.01, "log": true}, '
  . '"layers": [1, 2, 3], "dropout": [0, 0.2], "activation": ["relu", "tanh", "sigmoid", "gelu"], "schedule": ["constant", "step", "exponential", "cosine", "inverse_time"]}' . "'";
($one)  = run($housing, 1);
($four) = run($housing, 4);
is($four, $one, 'dropout, batch sizes, optimizers and schedules: the same history with four trainers');

my ($other) = run(($letter =~ s/seed => 42/seed => 43/r), 4);
like($other, qr/^evaluation\|/m, 'another seed has a history');
isnt($other, $two, 'of its own');

# The order in which rows lie in the table does not matter either.
$node->safe_psql('postgres', 'CREATE TABLE shuffled (LIKE letter); INSERT INTO shuffled SELECT * FROM letter ORDER BY md5(id::text)');
my ($shuffled) = run(($letter =~ s/'letter'/'shuffled'/r), 2);
is($shuffled, $two, 'a table with its rows in another order: the same history');

$node->stop;
done_testing();
