#!/usr/bin/perl
# Draws lines of a CSV table as SVG, both axes logarithmic, with a dashed line of slope 1 from the first point.
#
#   plot.pl TITLE "LABEL OF Y" <table.csv >picture.svg
#
# The first column is x; each further one is a line, named by the head.  Only positive values are drawn.
use strict;
use warnings;

my ($title, $label) = @ARGV;
my @head = split /,/, line();
my @rows;
while (defined(my $text = line())) { push @rows, [split /,/, $text] if $text ne ''; }
@rows = grep { $_->[0] > 0 } @rows;
die "plot.pl: no rows\n" unless @rows;

sub line { my $text = <STDIN>; chomp $text if defined $text; return $text; }
sub escape { my $text = shift; my %of = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;'); $text =~ s/([&<>])/$of{$1}/g; return $text; }
sub lg { return log($_[0]) / log(10); }

# Whole decades around the values; at least one.
sub range
{
	my @values = sort { $a <=> $b } grep { $_ > 0 } @_;
	my ($low, $high) = (lg($values[0]), lg($values[-1]));
	my $from = int($low) - ($low < int($low) ? 1 : 0);
	my $to = int($high) + ($high > int($high) ? 1 : 0);
	return ($from, $to > $from ? $to : $from + 1);
}

my ($width, $height, $left, $right, $top, $bottom) = (640, 420, 70, 150, 40, 50);
my ($x0, $x1) = range(map { $_->[0] } @rows);
my ($y0, $y1) = range(map { my $row = $_; grep { defined } @$row[1 .. $#$row] } @rows);
sub at_x { return $left + (lg($_[0]) - $x0) / ($x1 - $x0) * ($width - $left - $right); }
sub at_y { return $height - $bottom - (lg($_[0]) - $y0) / ($y1 - $y0) * ($height - $top - $bottom); }
sub text { my ($x, $y, $anchor, $what) = @_; printf qq(<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>\n), $x, $y, $anchor, escape($what); }
sub segment { printf qq(<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>\n), @_; }
sub power { my $e = shift; return $e >= 0 && $e < 4 ? 10**$e : $e < 0 && $e > -4 ? sprintf('%g', 10**$e) : "1e$e"; }

print qq(<svg xmlns="http://www.w3.org/2000/svg" width="$width" height="$height" viewBox="0 0 $width $height" font-family="sans-serif" font-size="12">\n);
print qq(<rect width="$width" height="$height" fill="#fff"/>\n);
text($width / 2 - 40, 22, 'middle', $title);
for my $e ($x0 .. $x1)
{
	my $x = at_x(10**$e);
	segment($x, $top, $x, $height - $bottom, 'stroke="#ddd"');
	text($x, $height - $bottom + 18, 'middle', power($e));
}
for my $e ($y0 .. $y1)
{
	my $y = at_y(10**$e);
	segment($left, $y, $width - $right, $y, 'stroke="#ddd"');
	text($left - 8, $y + 4, 'end', power($e));
}
text(($left + $width - $right) / 2, $height - 10, 'middle', $head[0]);
text($left, $top - 8, 'middle', $label);

# slope 1, as far as it stays inside
my ($bx, $by) = @{$rows[0]}[0, 1];
my $ex = $rows[-1][0];
my $most = $bx * 10**$y1 / $by;
$ex = $most if $ex > $most;
segment(at_x($bx), at_y($by), at_x($ex), at_y($by * $ex / $bx), 'stroke="#999" stroke-dasharray="5 4"');
text($width - $right + 38, $top + 12, 'start', 'linear');
segment($width - $right + 10, $top + 8, $width - $right + 32, $top + 8, 'stroke="#999" stroke-dasharray="5 4"');

my @colours = ('#1b6ca8', '#d1495b', '#2e933c', '#8a5a9e', '#e08e0b');
for my $c (1 .. $#head)
{
	my $colour = $colours[($c - 1) % @colours];
	my @points = grep { defined $_->[$c] && $_->[$c] ne '' && $_->[$c] > 0 } @rows;
	printf qq(<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>\n), $colour,
	  join(' ', map { sprintf '%.1f,%.1f', at_x($_->[0]), at_y($_->[$c]) } @points);
	printf qq(<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"><title>%s: %s</title></circle>\n), at_x($_->[0]), at_y($_->[$c]), $colour,
	  escape("$head[0] $_->[0]"), escape("$head[$c] $_->[$c]")
	  for @points;
	my $y = $top + 12 + 20 * $c;
	segment($width - $right + 10, $y - 4, $width - $right + 32, $y - 4, qq(stroke="$colour" stroke-width="2"));
	text($width - $right + 38, $y, 'start', $head[$c]);
}
print "</svg>\n";
