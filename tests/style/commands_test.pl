#!/usr/bin/perl
# Every command line of runledger and runledgerd that a document, a configuration, a message or a comment shows is one
# that the built program takes: its subcommands, its options, and an option's value where the help lists the values.
# Operands are not looked at.
#
#   commands_test.pl SOURCE FOLDER_OF_PROGRAMS
use strict;
use warnings;

my ($source, $programs) = @ARGV;
chdir $source or die "$source: $!";

# What the help of a command lists; each is asked for once.
my %helps;
sub help_of {
    my ($command) = @_;
    return $helps{$command} if $helps{$command};
    my $text = `$programs/$command --help` // '';
    die "'$command --help' fails" if $? != 0;
    $text =~ s/^Exit codes:.*//ms;
    my %help = (commands => {}, options => {'--config' => ''});
    for (split /\n/, $text) {
        if (/^ {2,4}(?:(-\w),)?(--[a-z-]+)(?: \w+:\{([^}]*)\})?/) {
            $help{options}{$_} = $3 // '' for grep { defined } $1, $2;
        } elsif (/^  ([a-z][a-z-]*) /) {
            $help{commands}{$1} = 1;
        }
    }
    return $helps{$command} = \%help;
}

my ($status, $seen) = (0, 0);
my %used;
# The words behind the program's name. In prose, a word that is no command ends it; elsewhere it is a fault.
sub look_at {
    my ($where, $command, $text, $is_prose) = @_;
    ++$seen;
    my $complain = sub { print "$where: $command: $_[0]\n"; $status = 1; };
    $text =~ s/[\[\]]//g;                     # The usual marks of what may be left out.
    $text =~ s/(?:^|\s)\|\s+(?=-|ID)/ /g;      # The mark between alternatives.
    $text =~ s/(?:^|\s)(?:\||&&|;|[<>]|#|\/\/).*//;  # Another command, a file, a comment.
    my @words = split ' ', $text;
    while (defined(my $word = shift @words)) {
        last if $word =~ /^["'`)]/;
        my $ends = $word =~ s/[)"'`,;:.<].*$// && $word !~ /=/;
        if ($word =~ /^(--?[a-z][a-z-]*)(?:=(.*))?$/) {
            my ($option, $value) = ($1, $2);
            my $values = help_of($command)->{options}{$option};
            if (!defined $values) {
                $complain->("has no $option");
            } elsif ($values ne '') {
                $value //= shift @words if !$ends;
                my $given = $value // '';
                $given =~ s/[^a-z].*$//;
                $complain->("$option takes no '$given'") if $given ne '' && !grep { $_ eq $given } split /,/, $values;
            } elsif ($option eq '--config' && !defined $value) {
                shift @words;
            }
        } elsif (help_of($command)->{commands}{$word}) {
            $command .= " $word";
        } elsif (%{help_of($command)->{commands}}) {
            $complain->("has no command '$word'") if !$is_prose && $word =~ /^[a-z]/;
            last;  # A placeholder, such as COMMAND or an ellipsis.
        }
        last if $ends;
    }
    $used{$command} = 1;
}

# Where a shell would look for a command: at the beginning, or behind what ends or runs another one.
my $begins = qr/(?:^|--|&&|[;|('"]|\$ |\bdo|\bsudo|\brunledger-daemon)\s*$/;
# A document's pieces: lines of code, rows of tables, and paragraphs, whose code spans may go over a line's end.
sub pieces_of {
    my ($document) = @_;
    open my $file, '<', $document or die "$document: $!";
    my ($is_fenced, $kind, @pieces) = (0, '');
    while (<$file>) {
        chomp;
        if (/^\s*```/) { ($is_fenced, $kind) = (!$is_fenced, ''); next; }
        my $is_code = $is_fenced || /^ {4}/;
        my $is_continued = $is_code ? $kind eq 'continued' : $kind eq 'prose' && !/^\s*(?:[|#]|- |\d+\. |$)/;
        $kind = !$is_code ? 'prose' : s/\\$// ? 'continued' : 'code';
        if ($is_continued) {
            $pieces[-1]{text} .= " $_";
        } else {
            push @pieces, {line => $., is_code => $is_code, text => $_};
        }
    }
    return @pieces;
}
for my $document (glob('*.md'), grep { !m{/mutations\.md$} } glob('docs/*.md docs/*/*.md')) {
    for my $piece (pieces_of($document)) {
        my $where = "$document:$piece->{line}";
        my $rest = $piece->{text};
        my @code = $piece->{is_code} ? $rest : $rest =~ /`([^`]+)`/g;
        for my $code (@code) {
            while ($code =~ /\b(runledgerd?)(?= |$)/g) {
                my ($program, $before, $after) = ($1, substr($code, 0, $-[0]), substr($code, $+[0]));
                look_at($where, $program, $after, 0) if $before =~ $begins;
            }
        }
        next if $piece->{is_code};
        $rest =~ s/`[^`]*`//g;
        while ($rest =~ /\brunledger ([a-z]+)\b/g) {
            look_at($where, 'runledger', $1 . substr($rest, $+[0]), 1) if help_of('runledger')->{commands}{$1};
        }
    }
}
my %documented = %used;
# What the programs, the schema and the configuration say: in quotes, or in a sentence.
my @sources = split /\n/, `find run config common daemon nginx-module sql -type f`;
for my $name (@sources) {
    open my $file, '<', $name or die "$name: $!";
    while (<$file>) {
        while (/(`?)\brunledger (?:--config [\w\/.]+ )?([a-z]+)\b/g) {
            my $is_known = help_of('runledger')->{commands}{$2};
            next if !$is_known && $1 eq '';
            look_at("$name:$.", 'runledger', $2 . substr($_, $+[0]), $1 eq '');
        }
    }
}
# The patterns no longer find them, or a command is explained nowhere.
if ($seen < 250) { print "only $seen command lines were found\n"; $status = 1; }
sub want {
    my ($command) = @_;
    my @below = sort keys %{help_of($command)->{commands}};
    if (!@below && !$documented{$command}) { print "no document shows '$command'\n"; $status = 1; }
    want("$command $_") for @below;
}
want('runledger');
exit $status;
