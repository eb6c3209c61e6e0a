# Full disks, data sets beyond the limit, and sessions that live long: what cannot be done is an error that harms nothing,
# and memory does not grow.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Hyperband;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_cluster('main', conf => "hyperband.max_data_memory = '16MB'\nautovacuum = off");
load_table($node, 'letter');
load_table($node, 'pima2');

sub value { return $node->safe_psql('postgres', $_[0]) }

# The disk is full.  The server runs in a namespace of its own where the database's tablespace is a small file system.
my $call = "'letter', 'lettr', max_resource => 27, seed => 6, trainers => 2, search_space => '" . big_space() . "'";
my $disk = $node->basedir . '/disk';
mkdir $disk or BAIL_OUT($!);
my ($uid, $gid) = ($>, (split / /, $))[0]);
my $inside = sub {
	my ($command) = @_;
	return ('unshare', '-Urm', 'sh', '-c', "mount -t tmpfs -o size=96m tmpfs '$disk' && mkdir '$disk/space' && exec unshare -U --map-user=$uid --map-group=$gid sh -c '$command'");
};
SKIP:
{
	skip 'no namespaces here: unprivileged users may not mount', 7 if system(join(' ', map { '"' . s/(["\$])/\\$1/gr . '"' } $inside->('test -w ' . $disk)) . ' >/dev/null 2>&1') != 0;
	my $small = new_cluster('small', bare => 1, conf => "hyperband.curve_flush = 100ms\nautovacuum = off");
	$small->stop;
	my ($data, $log) = ($small->data_dir, $small->logfile);
	system_or_bail($inside->("pg_ctl -D $data -l $log -w -s start"));
	$small->_update_pid(1);
	my $ask = sub { return $small->safe_psql('small', $_[0]) };
	$small->safe_psql('postgres', "CREATE TABLESPACE small LOCATION '$disk/space'");
	$small->safe_psql('postgres', 'CREATE DATABASE small TABLESPACE small');
	install_hyperband($small, 'small');
	load_table($small, 'letter', 'letter', 'small');
	my $reference = $ask->("SELECT hyperband_tune($call)");
	is($ask->("SELECT hyperband_wait($reference)"), 'done', 'full disk: the undisturbed study is done');
	my $spent = '';
	my $study = $ask->("SELECT hyperband_tune($call)");
	wait_for(sub { ($spent = $ask->("SELECT resource_spent FROM hyperband.study WHERE study_id = $study")) > 0 }, 30);
	$ask->("COPY (SELECT 1) TO PROGRAM 'cat /dev/zero > $disk/ballast 2>/dev/null; true'");
	ok(wait_for(sub { $ask->("SELECT state FROM hyperband.progress WHERE study_id = $study") ne 'running' }, 60), 'full disk: the study stops');
	is($ask->("SELECT state FROM hyperband.progress WHERE study_id = $study"), 'interrupted', 'full disk: it is interrupted, not failed');
	like(slurp_file($small->logfile), qr/ERROR:  could not extend file.*No space left on device.*LOG:  study $study is interrupted/s, 'full disk: the log says why');
	$ask->("COPY (SELECT 1) TO PROGRAM 'rm $disk/ballast'");
	$ask->("SELECT hyperband_resume($study)");
	is($ask->("SELECT hyperband_wait($study)"), 'done', 'full disk: with space again and resumed, it ends');
	my $results = "SELECT string_agg(t.number || ' ' || e.rung || ' ' || encode(float8send(e.loss), 'hex'), chr(10) ORDER BY t.number, e.rung) FROM hyperband.evaluation e JOIN hyperband.trial t USING (trial_id) WHERE e.study_id = ";
	is($ask->("$results $study"), $ask->("$results $reference"), 'full disk: with the results of the undisturbed study');
	unlike(slurp_file($small->logfile), qr/PANIC|terminating any other active server processes/, 'full disk: nothing crashed');
	$small->stop;
}

# hyperband.max_data_memory.
value('CREATE TABLE wide AS SELECT i AS id, i % 2 = 0 AS target, array_fill(i::float8, ARRAY[500]) AS x FROM generate_series(1, 20000) i');
my $wide = tune($node, "'wide', 'target', features => ARRAY['x'], model => 'linear', max_resource => 1");
like(error_of($node, "SELECT hyperband_wait($wide)"), qr/ERROR:  53400: .*hyperband\.max_data_memory.*HINT/s, 'a data set beyond hyperband.max_data_memory is an error');
$node->append_conf('postgresql.conf', "hyperband.max_data_memory = '512MB'");
$node->reload;
value("SELECT hyperband_resume($wide)");
is(wait_study($node, $wide), 'done', 'with more allowed and resumed, the study is done');

# A session that does much: memory of its process, in kB, by its own count and by the kernel's.
my $session = { in => '', out => '', err => '' };
$session->{h} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$session->{in}, '>', \$session->{out}, '2>', \$session->{err}, IPC::Run::timeout(180));

sub in_session
{
	my ($sql) = @_;
	$session->{out} = '';
	$session->{in} = "$sql;\nSELECT 'over';\n";
	$session->{h}->pump until $session->{out} =~ /over\n/;
	die $session->{err} if $session->{err} =~ /ERROR/;
	return $session->{out} =~ s/over\n//r =~ s/\n$//r;
}
my $pid = in_session('SELECT pg_backend_pid()');

sub memory
{
	my ($contexts) = in_session('SELECT sum(total_bytes) / 1024 FROM pg_backend_memory_contexts') =~ /(\d+)/;
	# not Private_Dirty, which has pages of shared memory that nobody else looked at
	my ($private) = slurp_file("/proc/$pid/smaps_rollup") =~ /^Anonymous:\s+(\d+)/m;
	return ($contexts, $private);
}

# grows(LABEL, SQL, TIMES, WARM): does it WARM times, then TIMES times more.
sub grows
{
	my ($label, $sql, $times, $warm) = @_;
	in_session($sql->($_)) for 1 .. $warm;
	my ($contexts, $private) = memory();
	in_session($sql->($_)) for $warm + 1 .. $warm + $times;
	my ($contexts_after, $private_after) = memory();
	cmp_ok($contexts_after - $contexts, '<', 1024, sprintf '%s: its memory contexts grow by %d kB', $label, $contexts_after - $contexts);
	cmp_ok($private_after - $private, '<', 1024, sprintf '%s: its private memory grows by %d kB', $label, $private_after - $private);
}

in_session("SET client_min_messages = error; CREATE TABLE ids (id bigint)");
my $tiny = "'pima2', 'diabetes', model => 'linear', features => ARRAY['glucose','mass','age'], max_resource => 1, n_trials => 1, scheduler => 'full', trainers => 1";
$node->append_conf('postgresql.conf', 'hyperband.max_studies = 1');
$node->reload;
# 1,000 studies: made, looked for, cancelled and dropped, ten at a time, so that the queue stays short
grows('1,000 studies', sub {
		"DO \$\$ BEGIN TRUNCATE ids; INSERT INTO ids SELECT hyperband_tune($tiny, seed => i) FROM generate_series(1, 10) i; END \$\$; "
		  . 'SELECT count(hyperband_cancel(id)) FROM ids; SELECT count(hyperband_drop(id)) FROM ids';
	}, 100, 10);
is(value("SELECT count(*) FROM hyperband.study WHERE state IN ('queued', 'running')"), 0, 'and none of them is left');

# 10,000 predictions while the current version changes
for my $seed (1, 2)
{
	is(wait_study($node, tune($node, "'pima2', 'diabetes', features => ARRAY['glucose','mass','age'], max_resource => 1, n_trials => 1, scheduler => 'full', seed => $seed, name => 'm'")), 'done', 'a model');
}
grows('10,000 predictions of changing models', sub {
		my $version = 1 + $_[0] % 2;
		"SELECT hyperband_promote('m', $version); SELECT sum(hyperband_predict('m', p)) FROM (SELECT * FROM pima2 LIMIT 50) p; "
		  . "SELECT sum(hyperband_predict('m', p, 1)) + sum(hyperband_predict('m', to_jsonb(p), 2)) FROM (SELECT * FROM pima2 LIMIT 25) p";
	}, 100, 20);

# more models than are kept decoded: copies of one that is large enough to be noticed
is(wait_study($node, tune($node, "'pima2', 'diabetes', features => ARRAY['glucose','mass','age'], max_resource => 1, n_trials => 1, scheduler => 'full', name => 'large', search_space => '{\"units\": 128, \"layers\": 2}'")), 'done', 'a large model');
value(<<'SQL');
CREATE TABLE copies AS SELECT m AS model, nextval('hyperband.model_model_id_seq') AS id, 'large' || n AS name FROM hyperband.model m, generate_series(1, 180) n WHERE m.name = 'large';
INSERT INTO hyperband.model OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record(model, jsonb_build_object('model_id', id, 'name', name))).* FROM copies;
INSERT INTO hyperband.model_data SELECT id, chunk, data FROM copies JOIN hyperband.model_data d ON d.model_id = (copies.model).model_id;
SQL
grows('predictions of ever new models', sub { "SELECT sum(hyperband_predict('large$_[0]', p)) FROM (SELECT * FROM pima2 LIMIT 5) p" }, 100, 80);
$session->{in} = "\\q\n";
$session->{h}->finish;

$node->stop;
done_testing();
