# A supervisor that ends in the middle of a write, at every single one of them, from its first to the last of the winner,
# and at every boundary of a rung: whatever it was doing, the study goes on from what is committed and ends as an
# undisturbed one does.
#
# A trigger on every table of the catalog counts the statements that write, each kind by itself, and ends the process at
# the one whose turn it is, inside its transaction: by SIGTERM at the first and the last of each kind and some between, with HB_CHAOS set at
# each; by SIGKILL, which is a crash of the server, at the first of each kind.  At the boundaries it ends by both: once in
# the COMMIT of the decision, with all of it written, and once at the first write after that COMMIT.  How often checkpoints,
# points of curves and the study's progress are written depends on the time that trainers take: of these only the first
# is sure to come.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Hyperband;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_cluster('main', conf => "hyperband.curve_flush = 0\nrestart_after_crash = on");
load_table($node, 'pima2');

sub value { return $node->safe_psql('postgres', $_[0]) }

value(<<'SQL');
CREATE TABLE turn (place text, statement int, signal text);
CREATE TABLE places (place text, statement int);
CREATE FUNCTION die(how text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF how = 'TERM' THEN
    PERFORM pg_terminate_backend(pg_backend_pid());
    PERFORM pg_sleep(10);
  ELSIF how = 'KILL' THEN
    COPY (SELECT 1) TO PROGRAM 'kill -9 $PPID';
    PERFORM pg_sleep(10);
  END IF;
END $$;
CREATE TABLE boundary (bracket int, rung int, side text, signal text);
CREATE FUNCTION die_before_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM public.die(b.signal) FROM public.boundary b JOIN hyperband.trial t USING (bracket)
    WHERE t.trial_id = NEW.trial_id AND b.rung = NEW.rung AND b.side = 'before';
  RETURN NULL;
END $$;
CREATE FUNCTION die_after_commit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  -- the transaction is told from others by the rows it wrote
  present xid := (pg_current_xact_id()::text::numeric % 4294967296)::text::xid;
BEGIN
  PERFORM public.die(b.signal) FROM public.boundary b WHERE b.side = 'after' AND EXISTS (
    SELECT FROM hyperband.trial t JOIN hyperband.evaluation e USING (trial_id)
      WHERE t.study_id = (SELECT max(study_id) FROM hyperband.study) AND t.bracket = b.bracket AND e.rung = b.rung AND e.rank IS NOT NULL AND e.xmin <> present);
  RETURN NULL;
END $$;
CREATE FUNCTION die_here() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  n bigint;
  how text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = pg_backend_pid() AND backend_type = 'hyperband supervisor') THEN
    RETURN NULL;
  END IF;
  n := nextval(format('public.%I', TG_TABLE_NAME || ' ' || TG_OP));
  SELECT signal INTO how FROM public.turn WHERE place = TG_TABLE_NAME || ' ' || TG_OP AND statement = n;
  IF EXISTS (SELECT FROM public.turn WHERE signal = 'list') THEN
    INSERT INTO public.places VALUES (TG_TABLE_NAME || ' ' || TG_OP, n);
  ELSE
    PERFORM public.die(how);
  END IF;
  RETURN NULL;
END $$;
DO $$ DECLARE t text; o text; BEGIN
  FOR t IN SELECT relname FROM pg_class WHERE relnamespace = 'hyperband'::regnamespace AND relkind = 'r' LOOP
    EXECUTE format('CREATE TRIGGER die_here AFTER INSERT OR UPDATE OR DELETE ON hyperband.%I FOR EACH STATEMENT EXECUTE FUNCTION public.die_here()', t);
    EXECUTE format('CREATE TRIGGER die_after_commit AFTER INSERT OR UPDATE OR DELETE ON hyperband.%I FOR EACH STATEMENT EXECUTE FUNCTION public.die_after_commit()', t);
    FOREACH o IN ARRAY ARRAY['INSERT', 'UPDATE', 'DELETE'] LOOP
      EXECUTE format('CREATE SEQUENCE public.%I', t || ' ' || o);
    END LOOP;
  END LOOP;
END $$;
CREATE CONSTRAINT TRIGGER die_before_commit AFTER UPDATE ON hyperband.evaluation DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (OLD.rank IS NULL AND NEW.rank IS NOT NULL) EXECUTE FUNCTION public.die_before_commit();
SQL
my $call = "'pima2', 'diabetes', max_resource => 3, seed => 4, trainers => 1, options => '{\"test\": 0.1}', "
  . "search_space => '{\"units\": [4, 8], \"layers\": 1, \"learning_rate\": {\"type\": \"float\", \"low\": 0.001, \"high\": 0.1, \"log\": true}}'";
sub lay
{
	my ($place, $statement, $signal) = @_;
	return "INSERT INTO turn VALUES ('$place', $statement, '$signal'); "
	  . "SELECT count(setval(oid::regclass, 1, false)) FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace";
}

# Undisturbed, twice: the second time there is a model to be better than.
value(lay('', 0, 'list'));
my $reference = tune($node, $call);
is(wait_study($node, $reference), 'done', 'the undisturbed study is done');
my $expected = history($node, $reference);
value('TRUNCATE places, turn');
value(lay('', 0, 'list'));
is(wait_study($node, tune($node, $call)), 'done', 'and a second one');
my %last = map { split /\|/ } split /\n/, value('SELECT place, max(statement) FROM places GROUP BY place');
my $writes = value('SELECT count(*) FROM places');
cmp_ok($writes, '>', 20, "a study writes $writes times");
my %varies = map { $_ => 1 } ('checkpoint INSERT', 'checkpoint DELETE', 'loss_curve INSERT', 'loss_curve UPDATE', 'study UPDATE');

sub ask { return answer_of($node, $_[0]) }

# dies_at(CALL, SQL that lays what the supervisor meets[, SQL]): what became of the study, and what the last said of it
# between the death and the resumption.
sub dies_at
{
	my ($call, $lay, $look) = @_;
	value("TRUNCATE turn, boundary; $lay");
	my $seen = '';
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
		90);
	my $died = $gone || $state eq 'interrupted';
	if ($died)
	{
		# a supervisor that the restarted server starts for what is queued may die once more
		wait_for(sub { defined ask('TRUNCATE turn, boundary') }, 60) or BAIL_OUT('the server does not come back');
		# it may have begun between the look at its state and the look at the log
		wait_for(sub { ($state = ask("SELECT state FROM hyperband.progress WHERE study_id = $study") // 'running') ne 'running' }, 60)
		  or BAIL_OUT('the server does not come back');
		$seen = value("$look AND study_id = $study") if $look;
		ask("SELECT hyperband_resume($study)") if $state eq 'interrupted';
		$state = ask("SELECT hyperband_wait($study, '50 seconds')") // 'failed';
	}
	return ($state, history($node, $study), $died, value("SELECT count(*) FROM hyperband.model WHERE study_id = $study"), $seen);
}

my %wrong;
my %died;
my @cases;
for my $place (sort keys %last)
{
	push @cases, map { [ $place, $_, 'TERM' ] } grep { $ENV{HB_CHAOS} || $_ % 12 == 0 || $_ == 1 || $_ == $last{$place} } 1 .. $last{$place};
	push @cases, [ $place, 1, 'KILL' ];
}
my $sure = grep { $_->[2] eq 'TERM' && ($_->[1] == 1 || !$varies{ $_->[0] }) } @cases;
for my $case (@cases)
{
	my ($place, $statement, $signal) = @$case;
	my ($state, $history, $died, $models) = dies_at($call, lay($place, $statement, $signal));
	$died{$signal}++ if $died;
	push @{ $wrong{$signal} }, "$place $statement: $state, $models models" . ($history eq $expected ? '' : ', another history')
	  unless $state eq 'done' && $history eq $expected && $models == 1;
}
note('killed at: ' . join ', ', sort keys %last);
is(join("\n", @{ $wrong{TERM} // [] }), '', "terminated at one of $writes writes: done, one model, the history of the undisturbed study");
is(join("\n", @{ $wrong{KILL} // [] }), '', 'killed at the first of each kind of write: done, one model, the history of the undisturbed study');
cmp_ok($died{TERM} // 0, '>=', $sure - 2, "it was terminated $died{TERM} times in the middle of a study");
cmp_ok($died{KILL} // 0, '>=', keys(%last) - 1, "and killed $died{KILL} times");

# The boundaries: all that the undisturbed study has, and these are all that its plan has.
my $wider = $call =~ s/max_resource => 3/max_resource => 9/r;
value('TRUNCATE turn, boundary');
$reference = tune($node, $wider);
is(wait_study($node, $reference), 'done', 'an undisturbed study of more rungs is done');
$expected = history($node, $reference);
my @boundaries = map { [ split /\|/ ] } split /\n/,
  value("SELECT bracket, e.rung, count(*) FROM hyperband.evaluation e JOIN hyperband.trial USING (trial_id) WHERE e.study_id = $reference AND rank IS NOT NULL GROUP BY 1, 2 ORDER BY 1 DESC, 2");
is(join(', ', map { "$_->[0]/$_->[1]: $_->[2]" } @boundaries), value("SELECT string_agg(bracket || '/' || rung || ': ' || trials, ', ' ORDER BY bracket DESC, rung) FROM hyperband_plan(9)"),
	'every rung of the plan was decided: ' . @boundaries);
my ($hit, @amiss) = (0);
for my $boundary (@boundaries)
{
	my ($bracket, $rung, $trials) = @$boundary;
	for my $side (qw(before after))
	{
		for my $signal (qw(TERM KILL))
		{
			my ($state, $history, $died, $models, $ranked) = dies_at($wider, "INSERT INTO boundary VALUES ($bracket, $rung, '$side', '$signal')",
				"SELECT count(*) FILTER (WHERE rank IS NOT NULL) || ' of ' || count(*) FROM hyperband.evaluation e JOIN hyperband.trial t USING (trial_id, study_id) WHERE bracket = $bracket AND e.rung = $rung");
			my $there = $ranked eq ($side eq 'before' ? 0 : $trials) . " of $trials";
			$hit++ if $died && $there;
			push @amiss, "$signal $side bracket $bracket, rung $rung: $state, $ranked ranked, $models models" . ($history eq $expected ? '' : ', another history')
			  unless $died && $there && $state eq 'done' && $history eq $expected && $models == 1;
		}
	}
}
is(join("\n", @amiss), '', 'terminated and killed before and after each COMMIT that decides a rung: done, one model, the history of the undisturbed study');
is($hit, 4 * @boundaries, "it ended $hit times at a boundary: with all results of the rung, and none or all of its decision");
ok(wait_for(sub { !trainers_of($node) }, 5), 'no trainer is left');

# A trainer dies with its supervisor, even one that computes and does not look: this one is stopped.
load_table($node, 'letter');
training_study($node, "'letter', 'lettr', max_resource => 100000, scheduler => 'full', n_trials => 2, trainers => 1, search_space => '" . big_space() . "'", -1);
my ($trainer) = trainers_of($node);
kill 'STOP', $trainer;
kill 'KILL', supervisor_of($node);
ok(wait_for(sub { !alive($trainer) }, 30), 'a trainer that is stopped dies with its supervisor');
kill 'KILL', $trainer if alive($trainer);
wait_for(sub { defined ask('SELECT 1') }, 60) or BAIL_OUT('the server does not come back');

$node->stop;
done_testing();
