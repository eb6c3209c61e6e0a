# Chaos: random faults during real studies.  No result is lost or counted twice, and every study ends with the history
# of an undisturbed run of the same seed.  Then the same with a defence taken away, which the test must notice.
#
# HB_CHAOS=200 is the long form (at least 30 rounds); HB_CHAOS_SEED another sequence of faults.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Hyperband;
use List::Util qw(max);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $faults = $ENV{HB_CHAOS} || 40;
my $rounds = max(3, int($faults * 30 / 200 + 0.999));
my $seed   = $ENV{HB_CHAOS_SEED} || 20261123;
srand($seed);
note("$faults faults over at least $rounds rounds, seed $seed");

# The WAL is written by commits alone, so that a commit that does not wait for it can be lost.
my $node = new_cluster('main', conf => "hyperband.curve_flush = 100ms\nwal_writer_delay = 10s\nwal_writer_flush_after = 1GB\nwal_buffers = 64MB\nautovacuum = off\nrestart_after_crash = on");
load_table($node, 'letter');
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION bowl(config jsonb, resource int) RETURNS float8 LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_sleep(0.01);
  RETURN ((config ->> 'x')::float8 - 0.3) ^ 2 + 1.0 / resource;
END $$;
SQL

my $space = '{"units": [24, 32], "layers": [2], "batch_size": [64, 128], "learning_rate": {"type": "float", "low": 0.0005, "high": 0.02, "log": true}, "optimizer": "adam"}';
my $table = "'letter', 'lettr', features => ARRAY['x_box','y_box','width','high','onpix','x_bar','y_bar','x2bar','y2bar','xybar','x2ybr','xy2br','x_ege','xegvy','y_ege','yegvx'], "
  . "max_resource => 27, trainers => 2, search_space => '$space', seed => 5";
my %calls = (
	random   => "hyperband_tune($table, options => '{\"max_rows\": 8000}')",
	tpe      => "hyperband_tune($table, sampler => 'tpe', options => '{\"max_rows\": 4000}')",
	function => "hyperband_minimize('bowl(jsonb, integer)', '{\"x\": {\"type\": \"float\", \"low\": 0, \"high\": 1}}', max_resource => 27, seed => 3)");

sub ask { return answer_of($node, $_[0]) }

# All that is committed of a study, a line a fact.
my $facts = <<'SQL';
SELECT 'e', trial_id, rung, resource, encode(float8send(loss), 'hex'), seconds FROM hyperband.evaluation WHERE study_id = %1$d
UNION ALL SELECT 'c', trial_id, 0, resource, encode(float8send(train_loss), 'hex'), NULL FROM hyperband.loss_curve WHERE study_id = %1$d
UNION ALL SELECT 'd', trial_id, rung, resource, promoted::text, NULL FROM hyperband.evaluation WHERE study_id = %1$d AND promoted IS NOT NULL
SQL

sub facts_of
{
	my ($study) = @_;
	my $out = ask(sprintf $facts, $study) // return undef;
	return { map { $_ => 1 } split /\n/, $out };
}

my ($supervisor, $kills_of_trainers, $lost_facts) = (0, 0, 0);
my (%done, @slow_ends, @restarts);

# Waits until the server takes sessions again.
sub server_back
{
	my $begin = time;
	BAIL_OUT('the server does not come back') unless wait_for(sub { defined ask('SELECT 1') }, 60);
	push @restarts, time - $begin;
}

sub start_again
{
	my $begin = time;
	until ($node->start(fail_ok => 1))
	{
		$node->{_pid} = undef;    # it reads the file that a killed postmaster left
		BAIL_OUT('the server does not start: ' . slurp_file($node->logfile)) if time - $begin > 60;
		sleep 0.05;
	}
	push @restarts, time - $begin;
}

# The faults.  Each returns whether it found something to hurt.  A work that loses its trainer three times fails, and
# rightly, so at most two trainers are lost under one supervisor.
my %hurts = (
	trainer => sub {
		my ($signal) = @_;
		my @trainers = trainers_of($node);
		return 0 if !@trainers || $kills_of_trainers >= 2;
		$kills_of_trainers++;
		return kill $signal, $trainers[ rand @trainers ];
	},
	supervisor => sub {
		my ($signal) = @_;
		my ($pid) = supervisor_of($node) or return 0;
		my @trainers = trainers_of($node);
		kill $signal, $pid or return 0;
		return 1 if $signal eq 'INT';
		push @slow_ends, "supervisor $signal" unless wait_for(sub { !alive($pid) && !grep { alive($_) } @trainers }, 10);
		server_back() if $signal eq 'KILL';
		return 1;
	},
	backend => sub {
		return (ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type IN ('hyperband supervisor', 'client backend')")
			  // 0) > 0;
	},
	immediate => sub {
		my @trainers = trainers_of($node);
		$node->stop('immediate');
		push @slow_ends, 'immediate' unless wait_for(sub { !grep { alive($_) } @trainers }, 10);
		start_again();
		return 1;
	},
	postmaster => sub {
		my @trainers = trainers_of($node);
		$node->kill9;
		push @slow_ends, 'postmaster' unless wait_for(sub { !grep { alive($_) } @trainers }, 10);
		start_again();
		return 1;
	});
my @faults = ([ 'trainer', 'KILL' ], [ 'trainer', 'TERM' ], [ 'trainer', 'INT' ], [ 'supervisor', 'TERM' ], [ 'supervisor', 'TERM' ],
	[ 'supervisor', 'INT' ], [ 'supervisor', 'KILL' ], ['backend'], ['immediate'], ['postmaster']);

# One fault, chosen at random; what was committed before it must be there after it.
sub hurt
{
	my ($study, $choice) = @_;
	my @new = grep { !$done{"@$_"} } @faults; # each kind comes up soon, however the dice fall
	my ($kind, $signal) = @{ $choice // (@new && rand() < 0.5 ? $new[ rand @new ] : $faults[ rand @faults ]) };
	my ($now) = supervisor_of($node);
	if (($now // 0) != $supervisor)
	{
		$supervisor        = $now // 0;
		$kills_of_trainers = 0;
	}
	my $before = facts_of($study);
	$hurts{$kind}->($signal) or return 0;
	server_back();
	my $after = facts_of($study);
	my @lost = grep { !$after->{$_} } keys %$before;
	$lost_facts += @lost;
	note("$kind " . ($signal // '') . ': lost ' . join('; ', @lost[ 0 .. ($#lost > 3 ? 3 : $#lost) ])) if @lost;
	$done{ join ' ', grep { defined } $kind, $signal }++;
	return 1;
}

# Starts an interrupted study again; its state.
sub look_after
{
	my ($study) = @_;
	my $state = ask("SELECT state FROM hyperband.progress WHERE study_id = $study") // return 'unknown';
	ask("SELECT hyperband_resume($study)") if $state eq 'interrupted';
	return $state;
}

sub ended { return $_[0] !~ /queued|running|interrupted|unknown/ }

# A waiting session, to be terminated with the others, and that nobody misses.
sub watcher
{
	my ($study) = @_;
	my ($out, $err) = ('', '');
	return IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "SELECT hyperband_wait($study)" ], '<', '/dev/null', '>', \$out, '2>', \$err);
}

# Runs a study to its end with so many faults; how many found their target.  With one kind only, to the first loss.
sub disturbed
{
	my ($call, $wanted, $only) = @_;
	my $study = ask("SELECT $call") // BAIL_OUT("could not start $call");
	my $watcher = watcher($study);
	my ($hit, $last) = (0, 0);
	my $end = time + 120;
	my $state;
	until (ended($state = look_after($study)))
	{
		last if $only && $lost_facts > 0;
		BAIL_OUT("study $study does not end: " . ask("SELECT row_to_json(s) FROM hyperband.progress s WHERE study_id = $study")) if time > $end;
		if ($hit >= $wanted)
		{
			sleep 0.05;
			next;
		}
		# where results are to be lost there must be some
		sleep($only ? 0.5 + rand 0.8 : 0.02 + rand 0.4);
		next unless hurt($study, $only);
		$hit++;
		$last = time;
		$end  = time + 120;
	}
	my $after = $last ? time - $last : 0;
	$watcher->kill_kill;
	return ($study, $state, $hit, $after);
}

# Undisturbed.
my %expected;
for my $name (sort keys %calls)
{
	my $begin = time;
	my $study = $node->safe_psql('postgres', "SELECT $calls{$name}");
	is(wait_study($node, $study), 'done', "$name: the undisturbed study is done");
	note(sprintf '%s takes %.1f s', $name, time - $begin);
	$expected{$name} = history($node, $study);
}

my ($hits, $round, $slowest) = (0, 0, 0);
my $begin = time;
while ($round < $rounds || $hits < $faults)
{
	my $name = (sort keys %calls)[ $round % 3 ];
	my $left = $faults - $hits;
	my $wanted = $left <= 0 ? 0 : max(1, int($left / max(1, $rounds - $round) + 0.5));
	my ($study, $state, $hit, $after) = disturbed($calls{$name}, $wanted);
	$round++;
	$hits += $hit;
	$slowest = $after if $after > $slowest;
	is($state, 'done', "round $round, $name: done after $hit faults")
	  or diag(ask("SELECT row_to_json(s) FROM hyperband.study s WHERE study_id = $study"));
	is(history($node, $study), $expected{$name}, "round $round, $name: the history of the undisturbed study, bit for bit");
	is( $node->safe_psql('postgres', "SELECT resource_spent = (SELECT sum(resource) FROM hyperband.trial WHERE study_id = $study) FROM hyperband.study WHERE study_id = $study"),
		't', "round $round, $name: nothing is counted twice");
}
cmp_ok($hits, '>=', $faults, "$hits faults in $round rounds found their target");
note(join ', ', map { "$_: $done{$_}" } sort keys %done);
is(join(', ', grep { !$done{$_} } map { "@$_" } @faults), '', 'faults of every kind were among them') if $faults >= 40;
note(sprintf '%.0f s; the longest wait for a server: %.2f s', time - $begin, max(@restarts));
is($lost_facts, 0, 'nothing that was committed was lost');
is("@slow_ends", '', 'no trainer outlived its supervisor by 10 s');
cmp_ok($slowest, '<', 30, sprintf('every study was done soon after its last fault: %.1f s at most', $slowest));
ok(wait_for(sub { !trainers_of($node) }, 5), 'and no trainer is left');
ok(wait_for(sub { $node->safe_psql('postgres', "SELECT count(*) FROM pg_locks l WHERE locktype = 'advisory' AND objsubid > 2") == 0 }, 5), 'nor a lock');
unlike(slurp_file($node->logfile), qr/PANIC|failed to|could not fork/, 'nothing went wrong that nobody did');

# Negative control: commits of results that do not wait for the disk.  A trigger turns that off inside the transactions
# that write them.
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION careless() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('synchronous_commit', 'off', false);
  RETURN NULL;
END $$;
CREATE TRIGGER careless AFTER INSERT OR UPDATE ON hyperband.trial FOR EACH STATEMENT EXECUTE FUNCTION careless();
CREATE TRIGGER careless AFTER INSERT OR UPDATE ON hyperband.loss_curve FOR EACH STATEMENT EXECUTE FUNCTION careless();
CREATE TRIGGER careless AFTER INSERT OR UPDATE ON hyperband.evaluation FOR EACH STATEMENT EXECUTE FUNCTION careless();
CREATE TRIGGER careless AFTER INSERT OR UPDATE ON hyperband.study FOR EACH STATEMENT EXECUTE FUNCTION careless();
SQL
(my $long = $table) =~ s/max_resource => 27/max_resource => 81/; # results must come between one shutdown and the next
for (1 .. 5)
{
	last if $lost_facts > 0;
	disturbed("hyperband_tune($long)", 12, ['immediate']);
}
cmp_ok($lost_facts, '>', 0, "without synchronous commits this test finds what was lost: $lost_facts results and points");
$node->safe_psql('postgres', 'DROP FUNCTION careless CASCADE');

$node->stop;
done_testing();
