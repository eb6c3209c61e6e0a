# Results of an attempt that was given up.  Workers that were taken for dead come back and tell nonsense; somebody else
# takes a trial from a supervisor.  Then the same without the fence, which the test must notice.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Hyperband;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{HB_CHAOS_SEED} || 20261123;
srand($seed);
note("seed $seed");
my $node = new_cluster('main');

sub value { return $node->safe_psql('postgres', $_[0]) }

# A worker: each command is a session of its own, which has gone when the command is over.  What it asked for and did
# not tell is handed out again, as the next attempt.
my $space = q('{"x": {"type": "float", "low": 0, "high": 1}}');

sub outside_study { return value("SELECT hyperband_create_study($space, max_resource => 9, seed => 4)") }

my $honest = <<'SQL';
DO $$ DECLARE a record; BEGIN
  FOR i IN 1 .. %d LOOP
    FOR a IN SELECT * FROM hyperband_ask(%d, 1) LOOP
      PERFORM hyperband_tell(a.trial_id, a.attempt, a.to_resource, abs((a.config ->> 'x')::float8 - 0.3) + 1.0 / a.to_resource);
    END LOOP;
  END LOOP;
END $$
SQL

sub told
{
	my ($study) = @_;
	return value(<<"SQL");
SELECT t.number, e.rung, encode(float8send(e.loss), 'hex'), e.rank, e.promoted FROM hyperband.evaluation e JOIN hyperband.trial t USING (trial_id)
 WHERE e.study_id = $study ORDER BY 1, 2;
SELECT state, resource_spent, encode(float8send(best_loss), 'hex') FROM hyperband.study WHERE study_id = $study
SQL
}

# Works on a study until it is done, with zombies, who come back when their trial was handed out again; how many
# there were, and how many were heard.
sub haunted
{
	my ($study) = @_;
	my ($zombies, $heard) = (0, 0);
	my @dead;
	for (1 .. 400)
	{
		my $done = state_of($node, $study) eq 'done';
		last if $done && !@dead;
		my $rows = value(<<"SQL");
WITH asked AS MATERIALIZED (SELECT * FROM hyperband_ask($study, 1 + (random() * 3)::int))
SELECT trial_id, attempt, to_resource, clock_timestamp() FROM asked
SQL
		push @dead, map { [ split /\|/, $_ ] } split /\n/, $rows;
		value(sprintf $honest, rand 4, $study);
		my @waiting;
		for my $zombie (@dead)
		{
			my ($trial, $attempt, $resource, $asked) = @$zombie;
			if (value("SELECT count(*) FROM hyperband.handout WHERE trial_id = $trial AND asked_at <= '$asked'"))
			{
				push @waiting, $zombie;
				next;
			}
			my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT hyperband_tell($trial, $attempt, $resource, -1000)");
			$zombies++;
			$heard++ if $err !~ /attempt \d+ of trial \d+ is out of date|study \d+ is done/;
		}
		@dead = @waiting;
	}
	return ($zombies, $heard);
}

my $reference = outside_study();
value(sprintf $honest, 200, $reference);
is(state_of($node, $reference), 'done', 'the undisturbed study is done');
my $study = outside_study();
my ($zombies, $heard) = haunted($study);
cmp_ok($zombies, '>', 10, "$zombies workers came back from the dead");
is($heard, 0, 'and every one was told that its attempt is over');
is(told($study), told($reference), 'the study has the history of the undisturbed one');

# Negative control: attempts are not counted, so that any of them is the present one.
value(<<'SQL');
CREATE FUNCTION forgetful() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.attempt := 1; RETURN NEW; END $$;
CREATE TRIGGER forgetful BEFORE UPDATE ON hyperband.trial FOR EACH ROW EXECUTE FUNCTION forgetful();
CREATE TRIGGER forgetful BEFORE INSERT OR UPDATE ON hyperband.handout FOR EACH ROW EXECUTE FUNCTION forgetful();
SQL
$study = outside_study();
($zombies, $heard) = haunted($study);
cmp_ok($heard, '>', 0, "without the fence this test finds $heard of $zombies dead workers heard");
isnt(told($study), told($reference), 'and another history');
value('DROP FUNCTION forgetful CASCADE');

# A trial that a supervisor trains is taken away from it, as a second supervisor would.
load_table($node, 'letter');
my $call = "'letter', 'lettr', max_resource => 27, seed => 3, trainers => 1, search_space => '" . big_space() . "'";
$reference = tune($node, $call);
is(wait_study($node, $reference), 'done', 'the undisturbed study is done');
$study = training_study($node, $call, 0.1);
ok( wait_for(
		sub { value("UPDATE hyperband.trial SET attempt = attempt + 1 WHERE study_id = $study AND state = 'running' RETURNING 'taken'") =~ /taken/ }, 20),
	'trials in training are taken away');
like(error_of($node, "SELECT hyperband_wait($study)"), qr/ERROR:  55000: trials of the study were changed while they were trained/,
	'their results are refused as a whole');
is( value("SELECT resource_spent = (SELECT coalesce(sum(resource), 0) FROM hyperband.trial WHERE study_id = $study) FROM hyperband.study WHERE study_id = $study"),
	't', 'and counted nowhere');
value("SELECT hyperband_resume($study)");
is(wait_study($node, $study), 'done', 'resumed, it ends');
is(history($node, $study), history($node, $reference), 'with the history of the undisturbed study');

$node->stop;
done_testing();
