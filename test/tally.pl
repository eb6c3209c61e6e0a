# Counts single results in logs of prove -v (TAP) and of pg_regress: prints "passed failed skipped".
# With --failures: prints the lines that failed, with what their tests had to say about it; with --skipped why tests were skipped,
# each reason once.
use strict;
use warnings;

my $mode = @ARGV && $ARGV[0] =~ /^--(failures|skipped)$/ ? $1 : '';
shift if $mode;
my $show = $mode eq 'failures';
my ($passed, $failed, $skipped, %reasons) = (0, 0, 0);

for my $file (@ARGV)
{
	open my $log, '<', $file or die "$file: $!\n";
	my (@context, $any, $follow);
	$follow = 0;
	while (my $line = <$log>)
	{
		push @context, $line;
		shift @context if @context > 30;
		if ($line =~ /^ok \d+/ && $line !~ /# skip/i or $line =~ /^(?:test| ) .* \.\.\. ok\b/)
		{
			$passed++;
			$follow = 0;
		}
		# a test, or with "1..0" a whole file
		elsif ($line =~ /^(?:ok \d+.*|1\.\.0\s*)# skip\s*(.*)/i)
		{
			$skipped++;
			$reasons{$1}++;
		}
		elsif ($line =~ /^not ok \d+/ or $line =~ /^(?:test| ) .* \.\.\. FAILED/)
		{
			$failed++;
			$any = $follow = 1;
			print "$file: $line" if $show;
		}
		elsif ($follow && $line =~ /^#/ || $line =~ /(?:Dubious|Bad plan|No subtests run|Bail out)/)
		{
			print "    $line" if $show;
		}
	}
	close $log;
	# A log without a failed line is shown by its end when its suite failed all the same.
	if ($show && !$any && !grep { /^Result: PASS|^ All \d+ tests passed/ } @context)
	{
		print "end of $file:\n", map { "    $_" } @context;
	}
}
print "$passed $failed $skipped\n" unless $mode;
print "$_ ($reasons{$_})\n" for $mode eq 'skipped' ? sort keys %reasons : ();
