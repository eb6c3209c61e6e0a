# Who may do what: the gate, row security on the catalog, the owner's rights in the background worker.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Hyperband;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('main');
load_table($node, 'pima2');
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE carol LOGIN; CREATE ROLE robot NOLOGIN;
GRANT CREATE ON SCHEMA public TO alice;
GRANT SELECT ON pima2 TO alice, bob, robot;
SQL

# as(USER, SQL): the answer, or what went wrong with its SQLSTATE.
sub as
{
	my ($user, $sql) = @_;
	my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql", extra_params => [ '-U', $user ]);
	return $status == 0 ? $out : $err;
}

my $quick = "'pima2', 'diabetes', model => 'linear', features => ARRAY['glucose','mass','age','insulin'], max_resource => 3";

# The gate.
for my $call (
	"hyperband_tune($quick)",
	'hyperband_wait(1)', 'hyperband_cancel(1)', 'hyperband_resume(1)', 'hyperband_drop(1)',
	'hyperband_plan(27)', 'hyperband_models()',
	"hyperband_promote('m', 1)", "hyperband_drop_model('m')",
	"hyperband_grant('m', 'bob')", "hyperband_revoke('m', 'bob')")
{
	like(as('carol', "SELECT $call"), qr/ERROR:  42501: .*HINT:  .*GRANT USAGE ON SCHEMA hyperband/s,
		"without USAGE on the schema: $call says what is missing");
}
like(as('carol', "CALL hyperband_run($quick)"), qr/ERROR:  42501: .*GRANT USAGE ON SCHEMA hyperband/s, 'and so does hyperband_run');
like(as('carol', 'SELECT * FROM hyperband.study'), qr/42501/, 'and the tables are closed');
unlike(as('carol', "SELECT hyperband_predict('nothing', ROW(1))"), qr/42501/, 'predict needs no gate');
$node->safe_psql('postgres', 'GRANT USAGE ON SCHEMA hyperband TO alice, bob, robot');

# A study of one's own.
my $study = as('alice', "SELECT hyperband_tune($quick, name => 'diabetes')");
like($study, qr/^\d+$/, 'with it a study can be made');
is(as('alice', "SELECT hyperband_wait($study)"), 'done', 'and it is done as its owner, who is no superuser');
is(as('alice', 'SELECT count(*) FROM hyperband.study'), 1, 'the owner sees it');
cmp_ok(as('alice', 'SELECT count(*) FROM hyperband.leaderboard'), '>', 1, 'and its leaderboard');
my $race = as('alice', "SELECT hyperband_tune($quick, name => 'race', scheduler => 'racing', resource => 'folds', n_trials => 4)" =~ s/max_resource => 3/max_resource => 4/r);
is(as('alice', "SELECT hyperband_wait($race)"), 'done', 'a race is run');
as('alice', "SELECT hyperband_grant('race', 'robot')");
for my $table (qw(study bracket trial evaluation loss_curve checkpoint model model_data model_grant progress leaderboard rung_audit bracket_audit racing_audit))
{
	cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM hyperband.$table"), '>', 0, "there is something in $table");
	is(as('bob', "SELECT count(*) FROM hyperband.$table"), 0, "another role sees nothing of it");
}
for my $call ('hyperband_wait', 'hyperband_cancel', 'hyperband_resume', 'hyperband_drop')
{
	like(as('bob', "SELECT $call($study)"), qr/ERROR:  42704: .*study $study does not exist/, "for another role there is no such study: $call");
}
for my $table (qw(study bracket trial evaluation loss_curve checkpoint model model_data model_grant))
{
	like(as('alice', "DELETE FROM hyperband.$table"), qr/ERROR:  42501/, "even the owner cannot delete from $table");
	like(as('alice', "INSERT INTO hyperband.$table DEFAULT VALUES"), qr/ERROR:  42501/, "nor insert into $table");
}
like(as('alice', "UPDATE hyperband.study SET owner = 'bob'"), qr/ERROR:  42501/, 'nor give a study away');

# Models: one's own, then those granted.
my $predict = "SELECT hyperband_classify('diabetes', p) IN ('neg', 'pos') FROM pima2 p WHERE id = 1";
is(as('alice', $predict), 't', 'the owner predicts');
like(as('bob', $predict), qr/ERROR:  42704/, 'another role does not');
as('alice', "SELECT hyperband_grant('diabetes', 'bob')");
is(as('bob', $predict), 't', 'after a grant it does');
$node->safe_psql('postgres', 'GRANT SELECT ON pima2 TO carol');
as('alice', "SELECT hyperband_grant('diabetes', 'carol')");
is(as('carol', $predict), 't', 'without the gate, too');
is(as('carol', q{SELECT hyperband_classify('diabetes', '{"glucose": 150, "mass": 40, "age": 50, "insulin": null}'::jsonb) IN ('neg', 'pos')}),
	't', 'from jsonb as well');
as('alice', "SELECT hyperband_revoke('diabetes', 'bob')");
like(as('bob', $predict), qr/ERROR:  42704/, 'and after a revoke no more');
like(as('bob', "SELECT hyperband_grant('diabetes', 'bob')"), qr/ERROR:  42704/, 'nobody grants what is not theirs');
like(as('bob', "SELECT hyperband_promote('diabetes', 1)"), qr/ERROR:  42704/, 'or promotes it');
like(as('bob', "SELECT hyperband_drop_model('diabetes')"), qr/ERROR:  42704/, 'or drops it');

# Two granted models of one name.
my $bobs = as('bob', "SELECT hyperband_tune($quick, name => 'diabetes')");
is(as('bob', "SELECT hyperband_wait($bobs)"), 'done', 'another role has a model of the same name');
is(as('bob', 'SELECT count(*) FROM hyperband.model'), 1, 'and sees it alone');
as('bob', "SELECT hyperband_grant('diabetes', 'carol')");
like(as('carol', $predict), qr/ERROR:  42P09/, 'two granted models of one name are an error');
is(as('bob', $predict), 't', 'but one\'s own comes first');

# Rights on the table.
$node->safe_psql('postgres', 'CREATE TABLE secret AS SELECT * FROM pima2; CREATE TABLE half AS SELECT * FROM pima2; GRANT SELECT (glucose, diabetes) ON half TO alice');
like(as('alice', "SELECT hyperband_tune('secret', 'diabetes')"), qr/ERROR:  42501: .*permission denied for table secret/, 'no SELECT on the table');
like(as('alice', "SELECT hyperband_tune('half', 'diabetes', features => ARRAY['glucose', 'mass'])"), qr/ERROR:  42501/, 'no SELECT on a column');
my $columns = as('alice', "SELECT hyperband_tune('half', 'diabetes', model => 'linear', features => ARRAY['glucose'], max_resource => 1)");
is(as('alice', "SELECT hyperband_wait($columns)"), 'done', 'SELECT on the columns that are used is enough');

# Row security on the training table.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE visible AS SELECT * FROM pima2;
ALTER TABLE visible ENABLE ROW LEVEL SECURITY;
CREATE POLICY even ON visible FOR SELECT TO alice USING (id % 2 = 0);
GRANT SELECT ON visible TO alice;
SQL
my $rows = 'SELECT rows_train + rows_validation FROM hyperband.study WHERE study_id =';
like(error_of($node, "SELECT hyperband_tune('visible', 'diabetes', model => 'linear', features => ARRAY['glucose','mass'], max_resource => 1)", 'alice'),
	qr/NOTICE:.*training uses only rows visible to role "alice"/, 'row security is pointed out');
my $mine = as('alice', 'SELECT max(study_id) FROM hyperband.study');
is(as('alice', "SELECT hyperband_wait($mine)"), 'done', 'a study under row security is done');
is(as('alice', "$rows $mine"), 384, 'on the rows that its owner may see');
my $all = tune($node, "'visible', 'diabetes', model => 'linear', features => ARRAY['glucose','mass'], max_resource => 1");
wait_study($node, $all);
is($node->safe_psql('postgres', "$rows $all"), 768, 'a superuser trains on all');

# The worker is the owner from its first moment: a function in a view cannot become anyone else or write.
$node->safe_psql('postgres', 'CREATE TABLE stolen (who name); GRANT ALL ON stolen TO alice');
as('alice', <<'SQL');
CREATE FUNCTION grab() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RESET ROLE; RESET SESSION AUTHORIZATION; RETURN current_setting('is_superuser')::bool::int; END $$;
CREATE VIEW trap AS SELECT id, glucose + grab() * 0 AS glucose, mass, diabetes FROM pima2;
CREATE FUNCTION put() RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.stolen VALUES (session_user); RETURN 0; END $$;
CREATE VIEW writer AS SELECT id, glucose + put() AS glucose, mass, diabetes FROM pima2;
CREATE FUNCTION lasting() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('search_path', 'evil', false), set_config('synchronous_commit', 'off', false); RETURN 0; END $$;
CREATE VIEW setter AS SELECT id, glucose + lasting() AS glucose, mass, diabetes FROM pima2;
SQL
for my $case ([ 'trap', '42501' ], [ 'writer', '25006' ])
{
	my ($view, $code) = @$case;
	my $id = as('alice', "SELECT hyperband_tune('$view', 'diabetes', model => 'linear', features => ARRAY['glucose','mass'], max_resource => 1)");
	like(as('alice', "SELECT hyperband_wait($id)"), qr/ERROR:  $code/, "a view whose function oversteps fails the study: $view");
	is(as('alice', "SELECT state FROM hyperband.study WHERE study_id = $id"), 'failed', "its state is failed: $view");
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM stolen'), 0, 'nothing was written');
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE settings (name text, value text);
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
	INSERT INTO public.settings SELECT n, current_setting(n) FROM unnest('{search_path,synchronous_commit}'::text[]) n;
	RETURN NEW;
END $$;
CREATE TRIGGER look BEFORE INSERT ON hyperband.evaluation FOR EACH ROW EXECUTE FUNCTION look();
SQL
my $setter = as('alice', "SELECT hyperband_tune('setter', 'diabetes', model => 'linear', features => ARRAY['glucose','mass'], max_resource => 1)");
is(as('alice', "SELECT hyperband_wait($setter)"), 'done', 'settings changed while reading do not stop the bookkeeping');
is($node->safe_psql('postgres', "SELECT string_agg(DISTINCT value, ' ') FROM settings WHERE name = 'synchronous_commit'"), 'on', 'nor are they those it is done with');
is($node->safe_psql('postgres', "SELECT count(*) FROM settings WHERE name = 'search_path' AND value ~ 'evil'"), 0, 'neither is a search_path');
$node->safe_psql('postgres', 'DROP TRIGGER look ON hyperband.evaluation; DROP FUNCTION look(); DROP TABLE settings');

# Nor can it disturb the locks that say that a study is alive, or leave advisory locks of its own behind.
as('alice', <<'SQL');
CREATE FUNCTION unlock(id int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
	IF id = 7 THEN
		PERFORM pg_advisory_lock(41); PERFORM pg_advisory_unlock_all(); PERFORM pg_advisory_lock(42); PERFORM pg_advisory_lock_shared(1, 2);
		PERFORM pg_sleep(1);
	END IF;
	RETURN 0;
END $$;
CREATE VIEW unlocker AS SELECT id, glucose + unlock(id) AS glucose, mass, diabetes FROM pima2;
SQL
my $unlocker = as('alice', "SELECT hyperband_tune('unlocker', 'diabetes', features => ARRAY['glucose','mass'], max_resource => 100000, scheduler => 'full', n_trials => 8)");
my %seen;
ok(wait_for(sub { $seen{state_of($node, $unlocker)}++; trainers_of($node) > 0 }, 30), 'a study whose view releases all advisory locks goes on to train');
ok(!$seen{interrupted}, 'and is never taken for interrupted');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND objsubid <= 2 AND backend_type = 'hyperband supervisor'"),
	0, 'no advisory lock of the view is left');
my $held = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE relation IS NOT NULL AND backend_type = 'hyperband supervisor'";
is($node->safe_psql('postgres', "$held AND relation IN ('unlocker'::regclass, 'pima2'::regclass)"),
	0, 'nor any lock on the table it was read from while it trains');
# Its reports are short transactions on the catalog: a look may meet one, but not look after look.
my $free = looks(sub { $node->safe_psql('postgres', $held) eq '0' });
cmp_ok($free, '>', 24, "and none on any relation between two reports: $free of 40 looks");
is(state_of($node, $unlocker), 'running', 'all that time it trained');
as('alice', "SELECT hyperband_cancel($unlocker)");
is(as('alice', "SELECT hyperband_wait($unlocker, '10 s')"), 'cancelled', 'its study can be cancelled');

# Settings of the role are inherited by its worker and must not matter.
$node->safe_psql('postgres', <<'SQL');
CREATE SCHEMA evil; CREATE TABLE evil.study (x int);
ALTER ROLE bob SET search_path = evil, public;
ALTER ROLE bob SET default_transaction_read_only = on;
ALTER ROLE bob SET statement_timeout = '1ms';
ALTER ROLE bob SET synchronous_commit = off;
SQL
my $hard = as('bob', "SET statement_timeout = 0; SET default_transaction_read_only = off; SELECT hyperband_tune($quick)");
is(as('bob', "SET statement_timeout = 0; SELECT hyperband_wait($hard)"), 'done', 'a role with hostile settings gets its study done');

# Roles that cannot log in, extension rights.
$node->safe_psql('postgres', 'GRANT robot TO alice');
like(as('alice', "SET ROLE robot; SELECT hyperband_tune($quick)"),
	qr/ERROR:  42501: .*role "robot" cannot run background studies.*DETAIL:  .*not permitted to log in/s, 'a role that cannot log in is told so');
$node->safe_psql('postgres', 'CREATE DATABASE other OWNER alice');
my ($status, $out, $err) = $node->psql('other', 'CREATE EXTENSION hyperband', extra_params => [ '-U', 'alice' ]);
like($err, qr/permission denied to create extension/, 'the extension is not trusted');

# No function runs with the rights of another.
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_proc WHERE proname LIKE 'hyperband%' AND prosecdef"), 0, 'no function is SECURITY DEFINER');

# A study whose owner cannot log in any more waits in the queue, and says why.
my $locked = $node->safe_psql('postgres', "BEGIN; SET LOCAL ROLE alice; SELECT hyperband_tune($quick); RESET ROLE; ALTER ROLE alice NOLOGIN; COMMIT");
($locked) = $locked =~ /^(\d+)$/m;
like(error_of($node, "SELECT hyperband_wait($locked, '10 s')"), qr/ERROR:  42501: .*role "alice" cannot run background studies/,
	'waiting for the queued study of a role that cannot log in says so');
$node->safe_psql('postgres', 'ALTER ROLE alice LOGIN');
is(as('alice', "SELECT hyperband_wait($locked, '30 s')"), 'done', 'and once it can, the study is done');

# A role that is dropped while its study trains.
$node->safe_psql('postgres', 'CREATE ROLE dora LOGIN; GRANT USAGE ON SCHEMA hyperband TO dora; GRANT SELECT ON pima2 TO dora');
my $orphan = as('dora', "SELECT hyperband_tune('pima2', 'diabetes', features => ARRAY['glucose','mass'], max_resource => 243)");
ok(wait_for(sub { trainers_of($node) > 0 }, 30), 'a study trains');
$node->safe_psql('postgres', 'DROP OWNED BY dora; DROP ROLE dora');
like(error_of($node, "SELECT hyperband_wait($orphan, '60 s')"), qr/ERROR:  42704: .*role with OID \d+ does not exist/, 'without its owner a study fails');
is($node->safe_psql('postgres', "SELECT count(*) FROM hyperband.model WHERE study_id = $orphan"), 0, 'and leaves no model');

# Others go on.
my $gone = as('bob', "SET statement_timeout = 0; SET default_transaction_read_only = off; SELECT hyperband_tune($quick)");
ok(wait_for(sub { state_of($node, $gone) eq 'done' }, 30), 'a last study of a role is done');

$node->stop;
done_testing();
