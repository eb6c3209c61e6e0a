# A supervisor that ends in the middle of a write, at every single one of them, from its first to the last of the winner:
# whatever it was doing, the study goes on from what is committed and ends as an undisturbed one does.
#
# A trigger on every table of the catalog counts the statements that write, and ends the process at the one whose turn
# it is, inside its transaction: by SIGTERM at the first and the last of each kind and some between, with HB_CHAOS set at
# each; by SIGKILL, which is a crash of the server, at the first of each kind.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Hyperband;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_cluster('main', conf => "hyperband.curve_flush = 10ms\nrestart_after_crash = on");
load_table($node, 'pima2');

sub value { return $node->safe_psql('postgres', $_[0]) }

value(<<'SQL');
CREATE TABLE turn (statement int, signal text);
CREATE SEQUENCE written;
CREATE TABLE places (statement int, place text);
CREATE FUNCTION die_here() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  n bigint;
  how text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = pg_backend_pid() AND backend_type = 'hyperband supervisor') THEN
    RETURN NULL;
  END IF;
  n := nextval('public.written');
  SELECT signal INTO how FROM public.turn WHERE statement = n;
  IF how = 'list' OR EXISTS (SELECT FROM public.turn WHERE signal = 'list') THEN
    INSERT INTO public.places VALUES (n, TG_TABLE_NAME || ' ' || TG_OP);
  ELSIF how = 'TERM' THEN
    PERFORM pg_terminate_backend(pg_backend_pid());
    PERFORM pg_sleep(10);
  ELSIF how = 'KILL' THEN
    COPY (SELECT 1) TO PROGRAM 'kill -9 $PPID';
    PERFORM pg_sleep(10);
  END IF;
  RETURN NULL;
END $$;
DO $$ DECLARE t text; BEGIN
  FOR t IN SELECT relname FROM pg_class WHERE relnamespace = 'hyperband'::regnamespace AND relkind = 'r' LOOP
    EXECUTE format('CREATE TRIGGER die_here AFTER INSERT OR UPDATE OR DELETE ON hyperband.%I FOR EACH STATEMENT EXECUTE FUNCTION public.die_here()', t);
  END LOOP;
END $$;
SQL
my $call = "'pima2', 'diabetes', max_resource => 3, seed => 4, trainers => 1, options => '{\"test\": 0.1}', "
  . "search_space => '{\"units\": [4, 8], \"layers\": 1, \"learning_rate\": {\"type\": \"float\", \"low\": 0.001, \"high\": 0.1, \"log\": true}}'";

sub lay
{
	my ($statement, $signal) = @_;
	value("TRUNCATE turn; INSERT INTO turn VALUES ($statement, '$signal'); SELECT setval('written', 1, false)");
}

# Undisturbed, twice: the second time there is a model to be better than.
lay(0, 'list');
my $reference = tune($node, $call);
is(wait_study($node, $reference), 'done', 'the undisturbed study is done');
my $expected = history($node, $reference);
value('TRUNCATE places');
lay(0, 'list');
is(wait_study($node, tune($node, $call)), 'done', 'and a second one');
my %place = map { split /\|/ } split /\n/, value('SELECT statement, place FROM places');
my $writes = keys %place;
cmp_ok($writes, '>', 20, "a study writes $writes times");
my %first;
$first{ $place{$_} } //= $_ for sort { $a <=> $b } keys %place;
my %last = map { $place{$_} => $_ } sort { $a <=> $b } keys %place;

sub ask
{
	my ($status, $out) = $node->psql('postgres', $_[0], timeout => 60);
	return defined $status && $status == 0 ? $out : undef;
}

sub dies_at
{
	my ($statement, $signal) = @_;
	lay($statement, $signal);
	my $log   = -s $node->logfile;
	my $study = tune($node, $call);
	my $state;
	my $tries = 0;
	# before the study is marked as running it stays in the queue, and a waiting session would start it again
	my $gone = 0;
	wait_for(sub {
			$state = ask("SELECT state FROM hyperband.progress WHERE study_id = $study") // 'unknown';
			$gone = $state eq 'queued' && slurp_file($node->logfile, $log) =~ /terminating background worker|terminated by signal/;
			note($state) if ++$tries % 100 == 0;
			return $gone || $state !~ /queued|running|unknown/;
		},
		15);
	my $died = $gone || $state eq 'interrupted';
	if ($died)
	{
		# a supervisor that the restarted server starts for what is queued may die once more
		wait_for(sub { defined ask('TRUNCATE turn') }, 60) or BAIL_OUT('the server does not come back');
		wait_for(sub { defined ask('SELECT 1') }, 60) or BAIL_OUT('the server does not come back');
		ask("SELECT hyperband_resume($study)") if $state eq 'interrupted';
		$state = wait_study($node, $study);
	}
	return ($state, history($node, $study), $died, value("SELECT count(*) FROM hyperband.model WHERE study_id = $study"));
}

my %wrong;
my %died;
my @statements = grep { $ENV{HB_CHAOS} || $_ % 12 == 0 || $first{ $place{$_} } == $_ || $last{ $place{$_} } == $_ } 1 .. $writes;
for my $case ((map { [ $_, 'TERM' ] } @statements), map { [ $first{$_}, 'KILL', $_ ] } sort keys %first)
{
	my ($statement, $signal) = @$case;
	my ($state, $history, $died, $models) = dies_at($statement, $signal);
	$died{$signal}++ if $died;
	push @{ $wrong{$signal} }, "$statement $place{$statement}: $state, $models models" . ($history eq $expected ? '' : ', another history')
	  unless $state eq 'done' && $history eq $expected && $models == 1;
}
note('killed at: ' . join ', ', sort keys %first);
is(join("\n", @{ $wrong{TERM} // [] }), '', scalar(@statements) . " times terminated at one of $writes writes: done, one model, the history of the undisturbed study");
is(join("\n", @{ $wrong{KILL} // [] }), '', 'killed at the first of each kind of write: done, one model, the history of the undisturbed study');
cmp_ok($died{TERM} // 0, '>=', @statements - 2, "it was terminated $died{TERM} times in the middle of a study");
cmp_ok($died{KILL} // 0, '>=', keys(%first) - 1, "and killed $died{KILL} times");
ok(wait_for(sub { !trainers_of($node) }, 5), 'no trainer is left');

$node->stop;
done_testing();
