# What the TAP tests share: clusters with the extension, real tables, trainer processes, trial histories.
package Hyperband;

use strict;
use warnings;

use Exporter 'import';
use List::Util qw(max);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

our @EXPORT = qw($patience new_cluster install_hyperband load_table error_of answer_of wait_for looks state_of supervisor_of trainers_of
  alive cpu_ticks history tune wait_study training_study started_again kill_at_work big_space);

my $data = $ENV{HYPERBAND_DATA} || 'test/data';

# What takes 0.2 s, or 1 s, on a quiet machine may take so many on a busy one; the tests print what it took.  Without what
# they test it takes longer.
our $patience = 15;

my %columns = (
	letter => 'id int PRIMARY KEY, fold int, lettr text, '
	  . join(', ', map { "$_ smallint" }
		  qw(x_box y_box width high onpix x_bar y_bar x2bar y2bar xybar x2ybr xy2br x_ege xegvy y_ege yegvx)),
	digits => 'id int PRIMARY KEY, fold int, ' . join(', ', map { "p$_ smallint" } 0 .. 63) . ', digit int',
	vowel  => 'id int PRIMARY KEY, fold int, v1 text, '
	  . join(', ', map { "v$_ float8" } 2 .. 10)
	  . ', class text COLLATE "C"',
	pima2 => 'id int PRIMARY KEY, fold int, pregnant int, glucose int, pressure int, triceps int, insulin int, '
	  . 'mass float8, pedigree float8, age int, diabetes text',
	california_housing => 'id int PRIMARY KEY, fold int, longitude float8, latitude float8, '
	  . 'housing_median_age int, total_rooms int, total_bedrooms int, population int, households int, '
	  . 'median_income float8, median_house_value int, ocean_proximity text');

# A study that keeps several trainers busy for some seconds: wide networks of several sizes.
sub big_space
{
	return '{"units": [48, 64, 96, 128], "layers": [2, 3], "learning_rate": {"type": "float", "low": 0.0005, "high": 0.02, "log": true}, "optimizer": "adam"}';
}

# new_cluster(NAME, conf => text, init options...): a running cluster; the extension is created unless bare is set.
sub new_cluster
{
	my ($name, %options) = @_;
	my $conf = delete $options{conf} // '';
	my $bare = delete $options{bare};
	my @new = $options{install_path} ? (install_path => delete $options{install_path}) : ();
	my $node = PostgreSQL::Test::Cluster->new($name, @new);

	$node->init(%options);
	$node->append_conf('postgresql.conf', <<"CONF");
max_worker_processes = 16
hyperband.max_trainers = 4
hyperband.max_studies = 4
timezone = 'UTC'
hyperband.curve_flush = 100ms
$conf
CONF
	$node->start;
	install_hyperband($node) unless $bare;
	return $node;
}

sub install_hyperband
{
	my ($node, $database) = @_;
	$node->safe_psql($database // 'postgres', 'CREATE EXTENSION hyperband');
}

# load_table(NODE, FILE[, TABLE[, DATABASE]]): one of the tables of test/data.
sub load_table
{
	my ($node, $file, $table, $database) = @_;
	$table    //= $file;
	$database //= 'postgres';
	$node->safe_psql($database, "CREATE TABLE $table ($columns{$file})");
	$node->safe_psql($database,
		"COPY $table FROM PROGRAM 'gzip -dc \"$data/$file.csv.gz\"' WITH (FORMAT csv, HEADER); ANALYZE $table");
}

# error_of(NODE, SQL[, USER]): what psql printed to standard error, with SQLSTATEs; '' where there was nothing.
sub error_of
{
	my ($node, $sql, $user) = @_;
	my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql",
		extra_params => [ $user ? ('-U', $user) : () ]);
	return $err // '';
}

# answer_of(NODE, SQL): the answer, or undef where the server could not give one just now: psql may be gone before it has read the
# statement, of which its pipe dies.
sub answer_of
{
	my ($node, $sql) = @_;
	my ($status, $out) = eval { $node->psql('postgres', $sql, timeout => 60) };
	return defined $status && $status == 0 ? $out : undef;
}

# wait_for(SUB[, SECONDS]): true as soon as SUB is, false when the time is over: on a busy machine what happens at once
# elsewhere takes long, so that is never before half a minute.
sub wait_for
{
	my ($condition, $seconds) = @_;
	my $end = time + max(30, $seconds // 60);
	while (time < $end)
	{
		return 1 if $condition->();
		sleep 0.02;
	}
	return 0;
}

# looks(SUB): at how many of 40 looks, a moment apart, it is true.
sub looks
{
	my ($condition) = @_;
	return scalar grep { sleep 0.02; $condition->() } 1 .. 40;
}

sub state_of
{
	my ($node, $study) = @_;
	return $node->safe_psql('postgres', "SELECT state FROM hyperband.progress WHERE study_id = $study");
}

# tune(NODE, ARGUMENTS): the id of a new study.
sub tune
{
	my ($node, $arguments) = @_;
	return $node->safe_psql('postgres', "SELECT hyperband_tune($arguments)");
}

sub wait_study
{
	my ($node, $study) = @_;
	return $node->safe_psql('postgres', "SELECT hyperband_wait($study, '5 minutes')");
}

# Process ids of the supervisors of this cluster.
sub supervisor_of
{
	my ($node) = @_;
	return split /\n/,
	  $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'hyperband supervisor'");
}

sub proc_stat
{
	my ($pid) = @_;
	open my $file, '<', "/proc/$pid/stat" or return;
	my $line = <$file> // return;
	my ($name, $rest) = $line =~ /^\d+ \((.*)\) (.*)$/s or return;
	return ($name, split / /, $rest);
}

# Process ids of the trainers: children of the supervisors.
sub trainers_of
{
	my ($node) = @_;
	my %parents = map { $_ => 1 } supervisor_of($node);
	my @found;
	for my $pid (map { m{(\d+)$} } glob '/proc/[0-9]*')
	{
		my ($name, $state, $parent) = proc_stat($pid) or next;
		push @found, $pid if $name =~ /^hyperband_train/ && $parents{$parent};
	}
	return @found;
}

# True while the process exists, be it as a zombie.
sub alive
{
	my ($pid) = @_;
	return -d "/proc/$pid";
}

# CPU time so far in clock ticks; 0 where the process is gone.
sub cpu_ticks
{
	my ($pid) = @_;
	my @stat = proc_stat($pid) or return 0;
	return $stat[12] + $stat[13];
}

# training_study(NODE, ARGUMENTS[, SHARE]): starts a study and returns its id when it is well in the middle of
# training: its trainers live and a share of the planned resource is spent.
sub training_study
{
	my ($node, $arguments, $share) = @_;
	my $study = tune($node, $arguments);
	$share //= 0.1;
	my $there = wait_for(
		sub {
			my $row = $node->safe_psql('postgres',
				"SELECT resource_spent > $share * resource_planned AND state = 'running' FROM hyperband.progress WHERE study_id = $study");
			return $row eq 't' && trainers_of($node) > 0;
		},
		90);
	BAIL_OUT("study $study did not get into the middle of training: "
		  . $node->safe_psql('postgres', "SELECT row_to_json(s) FROM hyperband.study s WHERE study_id = $study"))
	  unless $there;
	return $study;
}

# Whether a trial of the study began to train again: it was started more often than it has reached levels of its study, not
# counting the start after which it runs.
sub started_again
{
	my ($node, $study) = @_;
	return $node->safe_psql('postgres', <<"SQL") eq 't';
SELECT bool_or(t.attempt - (t.state = 'running')::int >
         (SELECT count(*) FROM generate_series(0, 9) k WHERE s.max_resource / s.eta ^ k BETWEEN 1 AND t.resource))
  FROM hyperband.trial t JOIN hyperband.study s USING (study_id) WHERE study_id = $study
SQL
}

# kill_at_work(NODE, STUDY): kills a trainer, and another, until one of them had work, which then begins again.  Between
# two stages a trainer may have none.  True where that is on record.
sub kill_at_work
{
	my ($node, $study) = @_;
	while (state_of($node, $study) eq 'running')
	{
		my ($trainer) = trainers_of($node);
		my $end = time + 2;
		kill 'KILL', $trainer if $trainer;
		ok(wait_for(sub { !alive($trainer) }, 5), 'the killed trainer is reaped') if $trainer;
		while ($trainer && time < $end)
		{
			return 1 if started_again($node, $study);
			sleep 0.02;
		}
	}
	return started_again($node, $study);
}

# history(NODE, STUDY): all that a study found out, floats bit for bit, as text that can be compared.
sub history
{
	my ($node, $study) = @_;
	return $node->safe_psql('postgres', <<"SQL");
SELECT 'trial', number, bracket, state, rung, resource, encode(float8send(loss), 'hex'), config
  FROM hyperband.trial WHERE study_id = $study ORDER BY number;
SELECT 'evaluation', t.number, e.rung, e.resource, encode(float8send(e.loss), 'hex'), e.rank, e.promoted, e.metrics
  FROM hyperband.evaluation e JOIN hyperband.trial t USING (trial_id) WHERE e.study_id = $study ORDER BY t.number, e.rung;
SELECT 'curve', t.number, c.resource, encode(float8send(c.train_loss), 'hex'),
       encode(float8send(c.validation_loss), 'hex'), encode(float8send(c.metric_value), 'hex')
  FROM hyperband.loss_curve c JOIN hyperband.trial t USING (trial_id) WHERE c.study_id = $study ORDER BY t.number, c.resource;
SELECT 'study', encode(float8send(s.best_loss), 'hex'), t.number, s.rows_train, s.rows_validation, s.resource_spent
  FROM hyperband.study s LEFT JOIN hyperband.trial t ON t.trial_id = s.best_trial_id WHERE s.study_id = $study;
SQL
}

1;
