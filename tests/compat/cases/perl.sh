#!/bin/bash
# SPDX-License-Identifier: MIT
#
# perl: threads, fork, sockets, regular expressions, sorting.
# packages: perl
# tier: bracket
# min-faults: 1000
# timeout: 300

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P perl > /dev/null || { echo "no perl" && exit 77; }
cat > t.pl << 'P'
use strict; use warnings;
use threads; use threads::shared; use Thread::Queue;
use IO::Socket::UNIX; use Socket; use Storable qw(freeze thaw dclone);
use Digest::SHA qw(sha256_hex);
$| = 1;
my $seed = 1;
sub rnd { $seed = ($seed * 1103515245 + 12345) % 2147483648; $seed }

# data, sorted, joined, searched
my @w = map { join '', map { chr(97 + rnd() % 26) } 1 .. 8 } 1 .. 60000;
print sha256_hex(join ' ', sort { reverse($a) cmp reverse($b) } @w), "\n";
my $text = join ' ', @w;
my ($n, $m) = (0, 0);
$n++ while $text =~ /\b(?:[a-m]+[n-z]){2,}\w*?\b/g;
(my $u = $text) =~ s/(\w)(\w+)/\U$1\E$2/g;
$m = () = $u =~ /\b[A-M]\w*?([a-z])\1/g;
print "matches $n $m ", sha256_hex($u), "\n";
my %h; $h{substr $_, 0, 3}{substr $_, 3} .= $_ for @w;
my $copy = thaw(freeze(dclone(\%h)));
print scalar(keys %$copy), ' ', sha256_hex(join ',',
	map { my $k = $_; map { "$k$_" } sort keys %{$copy->{$k}} }
	sort keys %$copy), "\n";

# threads with queues
my ($in, $out) = (Thread::Queue->new, Thread::Queue->new);
my $sum :shared = 0;
my @t = map { threads->create(sub {
	while (defined(my $x = $in->dequeue)) {
		{ lock $sum; $sum += length $x; }
		$out->enqueue(sha256_hex($x));
	} }) } 1 .. 4;
$in->enqueue($_) for @w[0 .. 7999];
$in->end; $_->join for @t;
my @got; while (defined(my $x = $out->dequeue_nb)) { push @got, $x }
print scalar(@got), " $sum ", sha256_hex(join '', sort @got), "\n";

# a server that forks, and its clients
my $srv = IO::Socket::UNIX->new(Local => 's', Listen => 20) or die;
my @kids;
for my $c (1 .. 8) {
	my $pid = fork // die;
	if (!$pid) {
		my $s = IO::Socket::UNIX->new(Peer => 's') or die;
		for my $i (1 .. 200) {
			print $s "$c:$i ", 'x' x ($i * 20), "\n";
			my $l = <$s>;
			die unless $l eq length("$c:$i " . 'x' x ($i * 20)) . "\n";
		}
		exit $c;
	}
	push @kids, $pid;
}
for (1 .. 8) {
	my $c = $srv->accept or die;
	my $pid = fork // die;
	if (!$pid) {
		$c->autoflush(1);
		while (my $l = <$c>) { chomp $l; print $c length($l), "\n"; }
		exit 0;
	}
	push @kids, $pid;
}
my $st = 0;
for (@kids) { waitpid $_, 0; $st += $? >> 8; }
print "children $st\n";

# signals and pipes
my $alarms = 0;
$SIG{USR1} = sub { $alarms++ };
for (1 .. 300) { kill USR1 => $$; }
print "signals $alarms\n";
my @o = map { scalar qx(echo $_; exit 3) . ($? >> 8) } 1 .. 20;
print join(',', map { s/\n/-/r } @o), "\n";
P
for _ in 1 2; do
	$NB_RUN perl t.pl
	rm s
done
