# How a study ends from outside, while its data is read and while it trains: cancel, terminate, time limit, shutdown, and
# whatever is dropped under it.  Nothing stays behind, and nobody has to wait.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Hyperband;
use List::Util qw(max);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_cluster('main');
load_table($node, 'letter');
$node->safe_psql('postgres', <<'SQL');
CREATE VIEW slow AS SELECT l.* FROM letter l, LATERAL (SELECT pg_sleep(0.001 + l.id * 0)) s;
SQL
my $columns = "features => ARRAY['x_box','y_box','width','high','onpix','x_bar']";
my $space = "search_space => '" . big_space() . "'";
my %phases = (
	# each trial is trained at a stretch, far longer than anybody here waits
	training => "'letter', 'lettr', max_resource => 100000, scheduler => 'full', n_trials => 8, trainers => 2, $space",
	limited  => "'letter', 'lettr', max_resource => 243, trainers => 2, options => '{\"max_rows\": 4000}', $space",
	loading  => "'slow', 'lettr', $columns, max_resource => 81, trainers => 2, $space");

sub value { return $node->safe_psql('postgres', $_[0]) }

# Sessions that are there already: connecting is no part of what is measured.
my @sessions = map { { in => '', out => '', err => '' } } 1 .. 2;

sub connect_session
{
	my ($s, $database) = @_;
	$s->{h} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr($database // 'postgres') ], '<', \$s->{in}, '>', \$s->{out}, '2>', \$s->{err},
		IPC::Run::timeout(120));
	$s->{in} = "SELECT 'ready';\n";
	$s->{h}->pump until $s->{out} =~ /ready/;
}

# Sends a command and waits for its answer; how long that took.
sub command
{
	my ($s, $sql, $until) = @_;
	$s->{out} = $s->{err} = '';
	my $begin = time;
	$s->{in} = "$sql;\nSELECT 'over';\n";
	$s->{h}->pump until $s->{out} =~ /over/;
	return time - $begin;
}

# A study that reads or trains, with its processes and its memfd.
sub victim
{
	my ($phase, $more) = @_;
	my $study = $phase eq 'training' ? training_study($node, "$phases{training}$more", -1) : tune($node, "$phases{loading}$more");
	wait_for(sub { value("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'hyperband supervisor' AND xact_start IS NOT NULL AND wait_event = 'PgSleep'") == 1 }, 20)
	  or BAIL_OUT('the data is not read')
	  if $phase eq 'loading';
	my ($supervisor) = supervisor_of($node);
	my @memory = grep { defined } map { (readlink($_) // '') =~ /memfd:/ ? (stat $_)[1] : undef } glob "/proc/$supervisor/fd/*";
	return { study => $study, pids => [ $supervisor, trainers_of($node) ], memory => \@memory };
}

# Seconds until its trainers, and where the supervisor has to go its supervisor, are gone.
sub gone_after
{
	my ($victim, $begin, $with_supervisor) = @_;
	my @pids = @{ $victim->{pids} };
	shift @pids unless $with_supervisor;
	while (grep { alive($_) } @pids)
	{
		return 99 if time - $begin > 2 * $patience;
		sleep 0.001;
	}
	return time - $begin;
}

sub memory_is_gone
{
	my ($victim) = @_;
	my %lost = map { $_ => 1 } @{ $victim->{memory} };
	return !grep { (readlink($_) // '') =~ /memfd:/ && $lost{ (stat $_)[1] // 0 } } glob '/proc/[0-9]*/fd/*';
}

sub nothing_left
{
	my ($victim, $what) = @_;
	cmp_ok(scalar @{ $victim->{memory} }, '>', 0, "$what: there was a data set") if $what =~ /^training/;
	ok(wait_for(sub { memory_is_gone($victim) }, 5), "$what: the data set is gone");
	is(value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid > 2"), 0, "$what: no lock is left")
	  if wait_for(sub { !supervisor_of($node) }, 10);
	is(scalar(supervisor_of($node)), 0, "$what: no supervisor is left");
}

for my $phase (qw(training loading))
{
	connect_session($sessions[0]);
	my %took;

	for (1 .. 3)
	{
		my $victim = victim($phase, '');
		my $begin = time;
		command($sessions[0], "SELECT hyperband_cancel($victim->{study})");
		my $ended = wait_for(sub { state_of($node, $victim->{study}) eq 'cancelled' }, 10);
		ok($ended, "$phase: cancelled");
		my $took = $phase eq 'training' ? gone_after($victim, $begin, 0) : value("SELECT extract(epoch FROM finished_at) - $begin FROM hyperband.study WHERE study_id = $victim->{study}");
		push @{ $took{cancel} }, $took;
		nothing_left($victim, "$phase, cancel") if $_ == 3;

		$victim = victim($phase, '');
		$begin = time;
		command($sessions[0], "SELECT pg_terminate_backend($victim->{pids}[0])");
		push @{ $took{terminate} }, gone_after($victim, $begin, 1);
		nothing_left($victim, "$phase, terminate") if $_ == 3;
		is(state_of($node, $victim->{study}), 'interrupted', "$phase: terminated, it is interrupted");
		value("SELECT hyperband_cancel($victim->{study})");
	}

	# The limit counts from the moment when the study starts.
	my $study = tune($node, "$phases{ $phase eq 'training' ? 'limited' : $phase }, time_limit => '3 seconds', name => 'limited $phase'");
	my ($status, $state, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT hyperband_wait($study)");
	if ($phase eq 'loading')
	{
		like($err, qr/ERROR:  57014: study reached its time limit while its data was read.*HINT/s, 'a time limit while the data is read');
	}
	else
	{
		is($state, 'done', 'a time limit while it trains: the study is done');
	}
	push @{ $took{'time limit'} }, value("SELECT extract(epoch FROM finished_at - started_at) - 3 FROM hyperband.study WHERE study_id = $study");
	ok(wait_for(sub { !supervisor_of($node) }, 5), "$phase, time limit: no supervisor is left");

	# Fast shutdown: the postmaster itself waits for its children, so their end is what is measured.
	my $victim = victim($phase, '');
	my $begin = time;
	kill 'INT', (slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/)[0];
	push @{ $took{'fast shutdown'} }, gone_after($victim, $begin, 1);
	ok(wait_for(sub { memory_is_gone($victim) }, 5), "$phase, fast shutdown: the data set is gone");
	wait_for(sub { !-e $node->data_dir . '/postmaster.pid' }, 30) or BAIL_OUT('no shutdown');
	$node->{_pid} = undef;
	$sessions[0]{h}->kill_kill;
	$node->start;
	is(state_of($node, $victim->{study}), 'interrupted', "$phase, fast shutdown: it is interrupted");
	value("SELECT hyperband_cancel($victim->{study})");

	for my $what (sort keys %took)
	{
		my $worst = max @{ $took{$what} };
		cmp_ok($worst, '<', $patience, sprintf '%s, %s: over after %s', $phase, $what, join ', ', map { sprintf '%.0f ms', 1000 * $_ } @{ $took{$what} });
	}
}

# While it trains nobody waits for it.
my $victim = victim('training', '');
# but for the moments of its short transactions
my $quiet = looks(sub { value("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'hyperband supervisor' AND backend_xmin IS NULL AND backend_xid IS NULL AND xact_start IS NULL") == 1 });
cmp_ok($quiet, '>', 24, "training: no snapshot is held: $quiet of 40 looks");
for my $statement ('ALTER TABLE letter ADD extra int', 'VACUUM FULL letter', 'ALTER TABLE letter ALTER x_box TYPE int', 'CREATE INDEX ON letter (x_box)',
	'CLUSTER letter USING letter_pkey', 'TRUNCATE letter', 'DROP TABLE letter')
{
	my $begin = time;
	my ($status, undef, $err) = $node->psql('postgres', "SET lock_timeout = '2s'; DROP VIEW IF EXISTS slow; $statement");
	is($status, 0, sprintf "training: %s is not blocked (%.0f ms)", $statement, 1000 * (time - $begin)) or diag($err);
}
is(state_of($node, $victim->{study}), 'running', 'and the study goes on');
$node->safe_psql('postgres', 'CREATE TABLE dead AS SELECT generate_series(1, 1000) AS i; DELETE FROM dead');
like(error_of($node, 'VACUUM (VERBOSE) dead'), qr/tuples: 1000 removed, 0 remain, 0 are dead/, 'nor does it keep VACUUM from removing rows');
$node->safe_psql('postgres', 'CREATE DATABASE other');
my $begin = time;
$node->safe_psql('postgres', 'DROP DATABASE other');
cmp_ok(time - $begin, '<', $patience, sprintf 'DROP DATABASE of another database takes %.0f ms', 1000 * (time - $begin));
value("SELECT hyperband_cancel($victim->{study})");
wait_study($node, $victim->{study});

# What is dropped under it.
sub doomed
{
	my ($owner) = @_;
	$node->safe_psql('postgres', 'DROP DATABASE IF EXISTS doomed');
	$node->safe_psql('postgres', 'CREATE DATABASE doomed');
	$node->safe_psql('doomed', 'CREATE SCHEMA tools; CREATE EXTENSION hyperband SCHEMA tools; ALTER DATABASE doomed SET search_path = public, tools; GRANT USAGE ON SCHEMA tools TO public');
	load_table($node, 'letter', 'letter', 'doomed');
	$node->safe_psql('doomed', "GRANT USAGE ON SCHEMA hyperband TO $owner; GRANT SELECT ON letter TO $owner") if $owner;
	my (undef, $study, $err) = $node->psql('doomed', "SELECT hyperband_tune($phases{training})", extra_params => [ $owner ? ('-U', $owner) : () ]);
	wait_for(sub { trainers_of($node) > 0 }, 30) or BAIL_OUT("no training: $err");
	return { study => $study, pids => [ supervisor_of($node), trainers_of($node) ], memory => [] };
}

for my $case (
	[ 'DROP EXTENSION', '', 'DROP EXTENSION hyperband CASCADE', 5 ],
	[ 'DROP SCHEMA',    '', 'DROP SCHEMA tools CASCADE', 5 ],
	[ 'DROP ROLE', 'student', 'DROP OWNED BY student; REVOKE ALL ON letter FROM student; DROP ROLE student', 5 ],
	[ 'DROP DATABASE WITH (FORCE)', '', 'DROP DATABASE doomed WITH (FORCE)', 1 ])
{
	my ($what, $owner, $sql, $bound) = @$case;
	$node->safe_psql('postgres', "CREATE ROLE $owner LOGIN") if $owner;
	my $doomed = doomed($owner);
	my $log = -s $node->logfile;
	$begin = time;
	my ($status, $out, $err) = $node->psql($what =~ /DATABASE/ ? 'postgres' : 'doomed', $sql);
	is($status, 0, "$what while a study trains") or diag($err);
	my $statement = time - $begin;
	my $after = gone_after($doomed, $begin, 1);
	cmp_ok($after, '<', $bound + $patience, sprintf '%s takes %.0f ms, its supervisor is gone after %.0f ms', $what, 1000 * $statement, 1000 * $after);
	# A worker that the postmaster starts again and again comes back each second.
	sleep 5;
	my $said = substr slurp_file($node->logfile), $log;
	my %lines;
	$lines{ s/^.*?\] //r =~ s/\d+/N/gr }++ for grep { /hyperband|FATAL|ERROR|WARNING/ } split /\n/, $said;
	my @repeated = grep { $lines{$_} > 3 } keys %lines;
	is("@repeated", '', "$what: no line of the log repeats");
	unlike($said, qr/FATAL:  database (?:"\w+"|\d+) does not exist/, "$what: nothing is started in a database that is gone");
	unlike($said, qr/PANIC|terminating any other active server processes/, "$what: nothing crashed");
	if ($what eq 'DROP ROLE')
	{
		is($node->safe_psql('doomed', "SELECT state || ' ' || sqlstate FROM hyperband.study"), 'failed 42704', "$what: its study has failed, and says why");
	}
}

# Workers that are connected already would go on with a function whose study's owner is gone.
$node->safe_psql('postgres', 'CREATE ROLE asker LOGIN; GRANT USAGE ON SCHEMA hyperband TO asker; CREATE FUNCTION nap(config jsonb, n int) RETURNS float8 LANGUAGE sql AS $$ SELECT 1.0 FROM pg_sleep(0.2) $$');
my (undef, $napping) = $node->psql('postgres', q{SELECT hyperband_minimize('nap(jsonb, int)', '{"x": {"type": "float", "low": 0, "high": 1}}', max_resource => 81)}, extra_params => [ '-U', 'asker' ]);
ok(wait_for(sub { $node->safe_psql('postgres', "SELECT count(*) FROM hyperband.evaluation WHERE study_id = $napping") > 0 }, 30), 'a function is being minimised');
$node->safe_psql('postgres', 'DROP OWNED BY asker; DROP ROLE asker');
ok(wait_for(sub { $node->safe_psql('postgres', "SELECT state || ' ' || sqlstate FROM hyperband.study WHERE study_id = $napping") eq 'failed 42704' }, 20), 'DROP ROLE: its study fails');

# In a container the postmaster is process 1: it inherits trainers that their supervisor has not reaped, and takes the end of
# a process that it does not know for a crash.
SKIP:
{
	my ($uid, $gid) = ($>, (split / /, $))[0]);
	my @unshare = ('unshare', '-Upf', '--kill-child', "--map-user=$uid", "--map-group=$gid");
	skip 'no namespaces here', 5 if system("@unshare true >/dev/null 2>&1") != 0;
	my $contained = new_cluster('contained');
	load_table($contained, 'letter');
	$contained->stop;
	my ($out, $data) = ('', $contained->data_dir);
	unlink $contained->logfile;
	my $container = IPC::Run::start([ @unshare, 'postgres', '-D', $data ], '<', '/dev/null', '>', \$out, '2>', $contained->logfile);
	my $answer = sub { my ($status, $got) = $contained->psql('postgres', $_[0]); return defined $status && $status == 0 ? $got : '' };
	ok(wait_for(sub { $answer->('SELECT 1') eq '1' }, 60), 'a postmaster that is process 1 runs') or diag(slurp_file($contained->logfile));
	is(slurp_file("$data/postmaster.pid") =~ /^(\d+)/ ? $1 : '', 1, 'as process 1');
	my $began = $answer->('SELECT pg_postmaster_start_time()');
	my $study = $answer->("SELECT hyperband_tune($phases{training})");
	my $trains = "SELECT count(*) FROM hyperband.trial WHERE study_id = $study AND state = 'running'";
	ok(wait_for(sub { ($answer->($trains) || 0) > 0 }, 60), 'a study trains there');
	$answer->("SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE backend_type = 'hyperband supervisor'");
	is($answer->("SELECT state FROM hyperband.progress WHERE study_id = $study"), 'interrupted', 'its supervisor is terminated');
	unlike(slurp_file($contained->logfile), qr/PANIC|terminating any other active server processes|was terminated by signal/, 'and nothing crashed');
	$container->kill_kill(grace => 5);
	unlink "$data/postmaster.pid";
}

# Plain DROP DATABASE says who is there.
doomed('');
my (undef, undef, $err) = $node->psql('postgres', 'DROP DATABASE doomed');
like($err, qr/is being accessed by other users/, 'plain DROP DATABASE is refused while a study trains');
$node->safe_psql('postgres', 'DROP DATABASE doomed WITH (FORCE)');

$node->stop;
done_testing();
