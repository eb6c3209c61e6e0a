# kill -9 of trainers: the server and every session go on, and the result is the same.
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
  . "max_resource => 27, seed => 11, trainers => 2, search_space => '" . big_space() . "'";

my $reference = tune($node, $call);
is(wait_study($node, $reference), 'done', 'the undisturbed study is done');
my $expected = history($node, $reference);
ok(!started_again($node, $reference), 'of which no trial was started again');

# The log says how well the trainers were used, before the study is done.
my $log = slurp_file($node->logfile);
my ($passes, $cpu) = $log =~ /study $reference trained 46 trials in \d+ cohorts and (\d+) passes over the training rows, ([\d.]+) s of trainers' CPU time in [\d.]+ s$/m;
my ($late_cpu) = $log =~ /study $reference trained its stages of at most 10 trials in [\d.]+ s, ([\d.]+) s of trainers' CPU time, which is \d+ % of the time of 2 trainers$/m;
cmp_ok($passes // 0, '>=', 27, 'the log counts passes over the data: no fewer than epochs of the longest training');
# One batch size and two trainers: brackets go in step, so that each trainer passes over the rows as often as the longest training.  A
# stage that takes long is cut again, for which there is room here.
cmp_ok($passes // 9e9, '<=', 4 * 27, 'and not many more');
cmp_ok($cpu // 0, '>', 0, "trainers' time");
cmp_ok($late_cpu // 9e9, '<=', $cpu // 0, 'and that of the late rungs, which is a part of it');
cmp_ok($late_cpu // 0, '>', 0, 'and more than nothing');

# A session that would not survive a restart of the server.
my $bystander = $node->background_psql('postgres');
$bystander->query_safe('CREATE TEMP TABLE here AS SELECT 1') if $bystander->can('query_safe');
my $started = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');

# What a trainer has of the server: its socket, the data and the log.  It is the first to go where memory runs out.
my $study = training_study($node, $call, 0.2);
my ($trainer) = trainers_of($node);
my %descriptors = map { (split m{/})[-1] => readlink } glob "/proc/$trainer/fd/*";
is(join(' ', sort { $a <=> $b } keys %descriptors), '0 1 2 3 4', 'a trainer inherits five descriptors');
is($descriptors{0}, '/dev/null', 'it reads nothing');
like($descriptors{3}, qr/^socket:/, 'its socket');
like($descriptors{4}, qr/^\/memfd:/, 'and the data');
is(slurp_file("/proc/$trainer/oom_score_adj"), "1000\n", 'it is the first to be killed when memory runs out');
my %status = slurp_file("/proc/$trainer/status") =~ /^(\w+):\s*(.*)$/mg;
is("$status{SigBlk} $status{SigCgt}", '0000000000000000 0000000000000000', 'it blocks and catches no signals');
my @stat = split / /, slurp_file("/proc/$trainer/stat") =~ s/^.*\) //sr;
is($stat[2], $trainer, 'it is a process group of its own');
like(slurp_file("/proc/$trainer/environ"), qr/^OPENBLAS_NUM_THREADS=1\0/, 'BLAS has one thread');
is($status{Threads}, 1, 'as it has itself');

# One of them.
ok(kill_at_work($node, $study), 'a trainer killed: a further attempt is on record');
is(wait_study($node, $study), 'done', 'one trainer killed: the study is done');
is(history($node, $study), $expected, 'with the same history');
cmp_ok($node->safe_psql('postgres', "SELECT sum(attempt) FROM hyperband.trial WHERE study_id = $study"),
	'>', $node->safe_psql('postgres', "SELECT sum(attempt) FROM hyperband.trial WHERE study_id = $reference"),
	'and more attempts');

# All of them, twice.
$study = training_study($node, $call, 0.1);
kill 'KILL', trainers_of($node);
ok( wait_for(
		sub {
			$node->safe_psql('postgres', "SELECT resource_spent > 0.4 * resource_planned FROM hyperband.study WHERE study_id = $study") eq 't';
		}),
	'it goes on with new trainers');
kill 'KILL', trainers_of($node);
is(wait_study($node, $study), 'done', 'all trainers killed, twice: the study is done');
is(history($node, $study), $expected, 'with the same history');

is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $started, 'the server was never restarted');
unlike(slurp_file($node->logfile), qr/terminating any other active server processes/, 'and no session was ended');

# A trainer that stops to answer must not keep a cancel waiting.
$study = training_study($node, $call, 0.1);
my @stopped = trainers_of($node);
kill 'STOP', @stopped;
is($node->safe_psql('postgres', "SELECT hyperband_cancel($study)"), 't', 'a study with stopped trainers can be cancelled');
ok(wait_for(sub { !grep { alive($_) } @stopped }, 5), 'and they are gone');

$node->stop;
done_testing();
