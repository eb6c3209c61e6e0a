# pg_cron, the real extension, in both of its modes: a nightly job that tunes under one model name.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Hyperband;
use PostgreSQL::Test::Utils;
use Test::More;

my %nodes;
for my $mode (qw(off on))
{
	my $node = new_cluster("workers_$mode", bare => 1, conf => <<"CONF");
shared_preload_libraries = 'pg_cron'
cron.database_name = 'postgres'
cron.use_background_workers = $mode
hyperband.max_trainers = 1
CONF
	$node->append_conf('postgresql.conf', "cron.host = '" . $node->host . "'");
	$node->restart;
	$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron');
	install_hyperband($node);
	load_table($node, 'vowel');
	$nodes{$mode} = $node;
}

my $features = "features => ARRAY['v1','v2','v3','v4','v5','v6','v7','v8','v9','v10']";
my $good  = "SELECT hyperband_tune('vowel', 'class', $features, name => 'nightly', max_resource => 27, seed => 1)";
my $worse = "SELECT hyperband_tune('vowel', 'class', $features, name => 'nightly', max_resource => 1, n_trials => 1, scheduler => 'full', seed => 2, search_space => '{\"learning_rate\": 0.000001}')";

# each(LABEL, SUB): waits until SUB(node) is true on every node, at most until pg_cron had two chances.
sub on_all
{
	my ($seconds, $label, $condition) = @_;
	my $ok = wait_for(sub { !grep { !$condition->($_) } values %nodes }, $seconds);
	ok($ok, $label);
	return $ok;
}

my $done = "SELECT count(*) FROM hyperband.study WHERE state = 'done'";
$_->safe_psql('postgres', "SELECT cron.schedule('nightly', '* * * * *', \$\$$good\$\$)") for values %nodes;
on_all(130, 'the job started its first study', sub { $_[0]->safe_psql('postgres', 'SELECT count(*) FROM hyperband.study') >= 1 });
# From the next minute on the job finds nothing but a bad model.
$_->safe_psql('postgres', "SELECT cron.schedule('nightly', '* * * * *', \$\$$worse\$\$)") for values %nodes;
on_all(60, 'the first study is done', sub { $_[0]->safe_psql('postgres', $done) >= 1 });
on_all(130, 'the second study is done', sub { $_[0]->safe_psql('postgres', $done) >= 2 });
$_->safe_psql('postgres', "SELECT cron.unschedule('nightly')") for values %nodes;

for my $mode (sort keys %nodes)
{
	my $node = $nodes{$mode};
	my $what = "cron.use_background_workers = $mode";
	is( $node->safe_psql('postgres', "SELECT count(*) FROM cron.job_run_details WHERE status <> 'succeeded'"),
		0, "$what: every run of the job succeeded");
	cmp_ok(
		$node->safe_psql('postgres', 'SELECT max(extract(epoch FROM end_time - start_time)) FROM cron.job_run_details'),
		'<', 5, "$what: the job returned at once");
	is( $node->safe_psql('postgres', "SELECT string_agg(version || ':' || is_current, ' ' ORDER BY version) FROM hyperband.model WHERE name = 'nightly' AND version <= 2"),
		'1:true 2:false', "$what: the worse model of the second night is a version, but not the current one");
	is( $node->safe_psql('postgres', "SELECT (SELECT loss FROM hyperband.model WHERE version = 1) < (SELECT loss FROM hyperband.model WHERE version = 2)"),
		't', "$what: and it is worse");
	is( $node->safe_psql('postgres', "SELECT count(DISTINCT split_key), count(DISTINCT rows_validation) FROM hyperband.model JOIN hyperband.study USING (study_id)"),
		'1|1', "$what: both nights validated on the same rows");
	cmp_ok(
		$node->safe_psql('postgres', "SELECT avg((hyperband_classify('nightly', v) IS DISTINCT FROM class)::int) FROM vowel v"),
		'<', 0.5, "$what: predictions come from the good one");
	is($node->safe_psql('postgres', "SELECT hyperband_promote('nightly', 2)"), 't', "$what: it can be made current by hand");
	cmp_ok(
		$node->safe_psql('postgres', "SELECT avg((hyperband_classify('nightly', v) <> class)::int) FROM vowel v"),
		'>', 0.5, "$what: predictions then come from the bad one");
	unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal/, "$what: nothing crashed");
	$node->stop;
}
done_testing();
