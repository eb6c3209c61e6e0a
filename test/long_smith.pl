# Reads the server's JSON log of a run of sqlsmith and prints TAP: no crash, no internal error of the extension, and that it was reached at
# all.  Then the errors by kind.
#
#   perl test/long_smith.pl FIRST REACHED LOG SOURCE...   FIRST is the number of the first test, REACHED how many functions of the
#                                                         extension returned, the sources are its C files
use strict;
use warnings;
use JSON::PP;

my ($n, $reached, $path, @sources) = @ARGV;
my %ours = map { s{.*/}{}r => 1 } @sources;
my (%kinds, @crashes, @internal);
my ($elsewhere, $refused) = (0, 0);

open my $log, '<', $path or die "$path: $!\n";
while (my $line = <$log>)
{
	my $entry   = eval { decode_json($line) } or next;
	my $message = $entry->{message} // '';
	push @crashes, $message if $message =~ /terminated by signal|was terminated by exception|reinitializing/ || $entry->{error_severity} eq 'PANIC';
	next if $entry->{error_severity} !~ /^(?:ERROR|FATAL|PANIC)$/;
	my $file = $entry->{file_name} // '';
	$kinds{ ($ours{$file} ? 'extension' : 'server   ') . " $entry->{state_code}" }++;
	$refused++ if $ours{$file};
	next if $entry->{state_code} !~ /^XX/;

	# What the server raises within a statement of the extension is ours too.
	if ($ours{$file} || ($entry->{context} // '') =~ /hyperband/)
	{
		push @internal, "$message ($file:$entry->{file_line_num})\n" . ($entry->{statement} // '');
	}
	else
	{
		$elsewhere++;
	}
}
close $log;

sub verdict
{
	my ($what, @found) = @_;
	print @found ? 'not ' : '', "ok ", $n++, " - $what\n";
	print map { s/^/# /mgr . "\n" } @found[ 0 .. ($#found < 19 ? $#found : 19) ];
}
verdict('no process of the server crashed', @crashes);
verdict('no internal error comes from the extension', @internal);
verdict("$reached functions of the extension returned, it raised $refused errors", $reached + $refused > 0 ? () : 'it was never reached');
print "# internal errors of the server itself: $elsewhere\n";
print map { "# $_: $kinds{$_}\n" } sort { $kinds{$b} <=> $kinds{$a} } keys %kinds;
