#!/usr/bin/perl
# Changes the product in one place at a time and shows that a test fails for each change.
#
#   tests/mutation/run.pl [--only REGEX] [--jobs N] [--minutes M] [--retry | --fresh] [--through COMMAND]
#   tests/mutation/run.pl --check
#
# The changes are the tables beside this file, one for each room (README.md there says how to write one). Everything
# happens in build/mutants: a copy of the sources, its build, and results.tsv, from which a run that was interrupted
# goes on, as do the rows of docs/mutations.md; with --retry it tries the changes again that no test has caught.
# docs/mutations.md is written from the results at the end of each run.
#
# --check only looks whether each text that is changed still stands exactly once in its file, and whether
# docs/mutations.md has each entry.
use strict;
use warnings;
use Cwd qw(abs_path);
use Digest::SHA qw(sha256_hex);
use File::Basename qw(basename dirname);
use File::Copy qw(copy);
use File::Path qw(make_path);
use Getopt::Long;
use Time::HiRes qw(time);

my ($only, $jobs, $fresh, $retry, $through, $minutes, $check_only) = ('', 1, 0, 0, '', 0, 0);
GetOptions('only=s' => \$only, 'jobs=i' => \$jobs, 'fresh' => \$fresh, 'retry' => \$retry, 'through=s' => \$through,
    'minutes=f' => \$minutes, 'check' => \$check_only)
    or exit 2;

my $root = abs_path(dirname(abs_path($0)) . '/../..');
chdir $root or die "$root: $!";
my $folder = 'build/mutants';
my ($source, $tree, $results_file) = ("$folder/source", "$folder/tree", "$folder/results.tsv");
my $page = 'docs/mutations.md';
$| = 1;

sub read_file {
    my ($path) = @_;
    open my $in, '<:raw', $path or die "$path: $!\n";
    local $/;
    return scalar <$in>;
}

sub write_file {
    my ($path, $text) = @_;
    make_path(dirname($path));
    open my $out, '>:raw', "$path.new" or die "$path.new: $!\n";
    print $out $text;
    close $out or die "$path.new: $!\n";
    chmod((stat $path)[2] & 07777, "$path.new") if -e $path;
    rename "$path.new", $path or die "$path: $!\n";
}

# ---- The tables --------------------------------------------------------------------------------------------------

my %words_of;  # By room: the comment that its table begins with.

# Entries in the order of the files and their lines: name, file, test, filter, equivalent, and changes, each [from, to].
sub read_tables {
    my @entries;
    for my $table (sort glob "$root/tests/mutation/*.txt") {
        my ($entry, $number, $last) = (undef, 0, '');
        $words_of{basename($table, '.txt')} = join "\n", map { /^# (.+)/ } split /\n/, (split /^==/m, read_file($table))[0];
        for my $line (split /\n/, read_file($table)) {
            $number++;
            if ($line =~ /^== (.+)$/) {
                $entry = {name => $1, changes => [], room => basename($table, '.txt'), at => basename($table) . ":$number"};
                push @entries, $entry;
            } elsif ($line =~ /^(file|test|equivalent): (.+)$/ && $entry) {
                $entry->{$1} = $2;
            } elsif ($line =~ /^-(?: (.*))?$/ && $entry) {
                push @{$entry->{changes}}, {from => [], to => []} if $last ne '-';
                push @{$entry->{changes}[-1]{from}}, $1 // '';
            } elsif ($line =~ /^\+(?: (.*))?$/ && $entry && @{$entry->{changes}}) {
                push @{$entry->{changes}[-1]{to}}, $1 // '';
            } elsif ($line !~ /^(#.*)?$/) {
                die basename($table) . ":$number: this is no line of an entry: $line\n";
            }
            $last = substr($line, 0, 1);
        }
    }
    my %names;
    for my $entry (@entries) {
        die "$entry->{at}: an entry needs a file, and a test or a reason why it is equivalent\n"
            if !$entry->{file} || !@{$entry->{changes}} || !$entry->{test} && !$entry->{equivalent};
        die "$entry->{at}: there is another entry of this name: $entry->{name}\n" if $names{"$entry->{room} $entry->{name}"}++;
        $_ = [join("\n", @{$_->{from}}), join("\n", @{$_->{to}})] for @{$entry->{changes}};
        ($entry->{program}, $entry->{filter}) = split ' ', $entry->{test} // '', 2;
        $entry->{filter} //= '*';
        $entry->{id} = substr(sha256_hex(join "\0", $entry->{file}, $entry->{test} // '', map { @$_ } @{$entry->{changes}}), 0, 12);
    }
    return @entries;
}

# The file's text with the entry's changes; undef if one of them is stale.
sub mutant_of {
    my ($entry) = @_;
    my $text = -e $entry->{file} ? read_file($entry->{file}) : '';
    for my $change (@{$entry->{changes}}) {
        my ($from, $to) = @$change;
        my $found = () = $text =~ /\Q$from\E/g;
        if ($found != 1 || $from eq $to) {
            print "$entry->{at}: $entry->{name}: the text is $found times in $entry->{file}, not once: $from\n";
            return undef;
        }
        substr($text, index($text, $from), length $from) = $to;
    }
    return $text;
}

my @entries = read_tables();
my %mutant;
my $stale = 0;
for my $entry (@entries) {
    $mutant{$entry->{id}} = mutant_of($entry) // do { $stale++; next };
}
if ($check_only) {
    my $shown = -e $page ? read_file($page) : '';
    for my $entry (@entries) {
        next if $shown =~ /\b$entry->{id}\b/;
        print "$entry->{at}: $page has no row of $entry->{name} as it is now: run tests/mutation/run.pl\n";
        $stale++;
    }
    printf "%d mutations, %d of them to be mended\n", scalar @entries, $stale;
    exit($stale ? 1 : 0);
}
exit 1 if $stale;

# ---- The copy and its build --------------------------------------------------------------------------------------

my $changed = 0;  # Counts changes to the copy, so that a program is built again only after one.
my %built_at;

sub put_source {
    my ($path, $text) = @_;
    return if -e "$source/$path" && read_file("$source/$path") eq $text;
    write_file("$source/$path", $text);
    $changed++;
}

sub run_quietly {
    my ($log, @command) = @_;
    unshift @command, split ' ', $through;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        open STDOUT, '>', $log or die "$log: $!";
        open STDERR, '>&', \*STDOUT or die $!;
        open STDIN, '<', '/dev/null' or die $!;
        exec @command or die "$command[0]: $!";
    }
    waitpid $pid, 0;
    return $?;
}

sub build {
    my (@targets) = @_;
    my @stale = grep { ($built_at{$_} // -1) != $changed } @targets;
    return 1 if !@stale;
    my $failed = run_quietly("$folder/build.log", 'cmake', '--build', $tree, '--target', @stale);
    $built_at{$_} = $changed for $failed ? () : @stale;
    return !$failed;
}

my %path_of;
sub program_path {
    my ($name) = @_;
    return $path_of{$name} //= do {
        my $found = `find $tree/tests $tree/nginx-module $tree/daemon -type f -name '$name' -perm -u+x`;
        (split /\n/, $found)[0] // die "$name was built, but is nowhere in $tree\n";
    };
}

# Which programs of the product a test starts, beside itself: those that the build makes before it.
my %starts;
sub programs_that_it_starts {
    my ($test) = @_;
    return @{$starts{$test} //= do {
        my %inputs = map { $_ => 1 } split /\n/, `ninja -C $tree -t inputs $test 2>/dev/null`;
        [grep { $inputs{$_} } qw(daemon/runledgerd daemon/runledger nginx-module/ngx_http_runledger_module.so)];
    }};
}

# SQL is a constant in the programs. So a change of SQL is made in a copy of the program, without a build: the text of
# the file is replaced by the changed one, which is filled up to the same length.
sub patch_sql {
    my ($program, $old, $new) = @_;
    while (length $new > length $old && $new =~ s/^[ ]*--[^\n]*\n//m) { }  # Comments make room.
    die "the changed SQL is longer than the file, and there is no comment to make room\n" if length $new > length $old;
    $new .= "\n" x (length($old) - length $new);
    my $bytes = read_file($program);
    my $count = 0;
    for (my $at = index $bytes, $old; $at >= 0; $at = index $bytes, $old, $at + length $old) {
        substr($bytes, $at, length $old) = $new;
        $count++;
    }
    write_file($program, $bytes) if $count;
    return $count;
}

sub put_back_programs {
    for my $kept (glob "$tree/daemon/*.unchanged") {
        (my $program = $kept) =~ s/\.unchanged$//;
        rename $kept, $program or die "$program: $!";
    }
}

make_path($source, "$folder/logs");
put_back_programs();
my $tests_digest;  # That a test passes unchanged holds for the tests as they are.
{
    my %listed = map { $_ => 1 } grep { -f $_ && !-l $_ } split /\0/, `git ls-files -z --cached --others --exclude-standard`;
    put_source($_, read_file($_)) for sort keys %listed;
    my @tests = grep { m{^(tests|sql/tests)/} && !m{^tests/mutation/} } sort keys %listed;
    $tests_digest = substr(sha256_hex(join "\0", map { $_, read_file($_) } @tests), 0, 12);
    for my $path (keys %listed) {
        chmod((stat $path)[2] & 07777, "$source/$path");
    }
    for my $path (split /\0/, `cd $source && find . -type f -printf '%P\\0'`) {
        unlink "$source/$path" if !$listed{$path};
    }
}
if (!-e "$tree/build.ninja") {
    # As what is tested by ./test (no assertions), but compiled fast.
    my $failed = run_quietly("$folder/configure.log", 'cmake', '-S', $source, '-B', $tree, '-G', 'Ninja',
        '-DRUNLEDGER_TESTS=ON', '-DCMAKE_BUILD_TYPE=RelWithDebInfo',
        map { "-DCMAKE_${_}_FLAGS_RELWITHDEBINFO=-O0 -DNDEBUG" } qw(C CXX));
    die read_file("$folder/configure.log") if $failed;
}

# ---- The results -------------------------------------------------------------------------------------------------

my %results;  # By an entry's id: verdict, what caught it, seconds. By "unchanged <test>": passes.
if (-e $results_file && !$fresh) {
    for (split /\n/, read_file($results_file)) {
        my ($id, @rest) = split /\t/;
        $results{$id} = \@rest;
    }
}

# What an earlier run has written into the page counts, too: an entry's id is of what it changes and of its test.
if (!$fresh && -e $page) {
    for (split /\n/, read_file($page)) {
        my ($test, $id) = /\| `([^`|]+)` \| ([0-9a-f]{12}) \|$/ or next;
        $results{$id} //= ['caught', $test, 0];
    }
}
sub keep_result {
    my ($id, @result) = @_;
    $results{$id} = \@result;
    open my $out, '>>', $results_file or die "$results_file: $!";
    print $out join("\t", $id, @result), "\n";
    close $out;
}

# Runs the program's tests until one fails. Returns the verdict, the test, and the seconds.
sub run_tests {
    my ($program, $filter, $log, $usual_seconds) = @_;
    my $began = time;
    my $seconds_max = int(60 + 5 * $usual_seconds);  # Longer than that it hangs, which ctest would notice, too.
    local $ENV{GTEST_FAIL_FAST} = 1;
    my $status = run_quietly($log, 'timeout', '--kill-after=10', $seconds_max, $program, "--gtest_filter=$filter");
    my $took = sprintf '%.1f', time - $began;
    my $output = read_file($log);
    # PostgreSQL also refuses a statement that no longer has one of its parameters.
    my $refusals = join '|', 'syntax error at or near', 'could not determine data type of parameter',
        'bind message supplies', 'ERROR:  42[A-Z0-9]{3}';
    return ('error', 'not valid SQL', $took) if $output =~ /$refusals/;
    return ('nothing ran', '-', $took) if $output !~ /^\[ RUN      \]/m && !$status;
    return ('survived', '-', $took) if !$status;
    my ($failed) = $output =~ /^\[  FAILED  \] (\S+?)[,(\s]/m;
    my @begun = $output =~ /^\[ RUN      \] (\S+)/mg;
    my $test = $failed // $begun[-1] // basename($program) . ', which does not start';
    my $how = $failed ? '' : $status >> 8 == 124 ? ' (hangs)' : ' (ends the program)';
    return ('caught', $test . $how, $took);
}

# ---- The run -----------------------------------------------------------------------------------------------------

my $errors = 0;
my %children;  # pid => entry
sub wait_for_one {
    my $pid = waitpid -1, 0;
    my $entry = delete $children{$pid} or return;
    my ($verdict, @rest) = split /\t/, read_file("$folder/job-$pid/result");
    put_back_programs() if delete $entry->{has_the_tree};
    system 'rm', '-rf', "$folder/job-$pid";
    if ($verdict eq 'error') {
        $errors++;
    } else {
        keep_result($entry->{id}, $verdict, @rest);
    }
    printf "%-9s %s: %s %s\n", $verdict, $entry->{room}, $entry->{name}, "@rest";
}
sub wait_for_the_tree { wait_for_one() while grep { $_->{has_the_tree} } values %children; }

my @selected = grep {
    !$_->{equivalent} && "$_->{room}: $_->{name}" =~ /$only/
        && (!$results{$_->{id}} || $retry && $results{$_->{id}}[0] ne 'caught')
} @entries;
# Those of a file one after the other: the compiler compiles it anew once for each, not twice.
@selected = sort { ($a->{file} =~ /\.sql$/) <=> ($b->{file} =~ /\.sql$/) || $a->{file} cmp $b->{file} } @selected;
printf "%d mutations, %d to be tried\n", scalar @entries, scalar @selected;

my ($changed_file, $began) = ('', time);
my %fails_unchanged;
sub restore_source {
    put_source($changed_file, read_file($changed_file)) if $changed_file;
    $changed_file = '';
}
ENTRY: for my $entry (@selected) {
    my ($program, $filter, $file) = @$entry{qw(program filter file)};
    my $is_sql = $file =~ m{^sql/(migrations|functions|views|queries)/|^sql/(triggers|grants)\.sql$};
    my @started = programs_that_it_starts($program);
    wait_for_one() while %children >= $jobs;
    last if $minutes && time - $began > $minutes * 60;

    my $unchanged = "unchanged $program $filter $tests_digest";
    next if $fails_unchanged{$unchanged};
    if (!$results{$unchanged}) {
        wait_for_the_tree();
        restore_source();
        build($program) or die read_file("$folder/build.log") . "$program does not build unchanged\n";
        my ($verdict, $test, $took) = run_tests(program_path($program), $filter, "$folder/unchanged.log", 100);
        if ($verdict ne 'survived') {
            print "$entry->{at}: $program $filter, unchanged: $verdict $test; see $folder/unchanged.log\n";
            $errors++;
            $fails_unchanged{$unchanged} = 1;
            next;
        }
        keep_result($unchanged, 'passes', '-', $took);
    }

    # A test that has the SQL itself needs no changed program beside it, and can run beside others.
    my $has_it = $is_sql && -e ($path_of{$program} // '') && index(read_file($path_of{$program}), read_file($file)) >= 0;
    my $needs_the_tree = @started && !$has_it;
    wait_for_the_tree() if $needs_the_tree || !$is_sql;
    if ($is_sql) {
        restore_source();
    } else {
        restore_source() if $changed_file ne $file;
        put_source($file, $mutant{$entry->{id}});
        $changed_file = $file;
    }
    if (!build($program)) {
        print "$entry->{at}: $entry->{name}: does not compile; see $folder/build.log\n";
        $errors++;
        next;
    }

    my $path = program_path($program);
    if ($needs_the_tree && $is_sql) {
        my $old = read_file($file);
        for (grep { !/\.so$/ } @started) {
            copy("$tree/$_", "$tree/$_.unchanged") or die "$_: $!";
            chmod 0755, "$tree/$_.unchanged";
            patch_sql("$tree/$_", $old, $mutant{$entry->{id}});
        }
    }
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        my $job = "$folder/job-$$";
        make_path($job);
        my @result;
        my $copy = "$job/$program";
        copy($path, $copy) or die "$copy: $!";
        chmod 0755, $copy;
        if ($is_sql && !patch_sql($copy, read_file($file), $mutant{$entry->{id}}) && !$needs_the_tree) {
            @result = ('error', "the text of $file is not in $program", 0);
        } else {
            @result = run_tests($copy, $filter, "$job/log", $results{$unchanged}[2]);
            copy("$job/log", "$folder/logs/$entry->{id}.log") or die "$job/log: $!";
        }
        write_file("$job/result", join "\t", @result);
        require POSIX;
        POSIX::_exit(0);
    }
    $entry->{has_the_tree} = 1 if $needs_the_tree;
    $children{$pid} = $entry;
}
wait_for_one() while %children;
restore_source();

# ---- The page ----------------------------------------------------------------------------------------------------

sub cell {
    my ($text) = @_;
    $text =~ s/\s+/ /g;
    $text =~ s/^ | $//g;
    return '(nothing)' if $text eq '';
    $text =~ s/\|/\\|/g;
    my $fence = $text =~ /`/ ? '``' : '`';
    return "$fence$text$fence";
}
my %count = (caught => 0, survived => 0, equivalent => 0, 'not run' => 0);
my ($rows, $room) = ('', '');
for my $entry (@entries) {
    my ($verdict, $test) = $entry->{equivalent} ? ('equivalent', $entry->{equivalent}) : @{$results{$entry->{id}} // ['not run']};
    $count{$verdict}++;
    next if $verdict eq 'not run';
    if ($entry->{room} ne $room) {
        $room = $entry->{room};
        $rows .= "\n## $room\n\n$words_of{$room}\n\n| changed | file | change | caught by | id |\n| --- | --- | --- | --- | --- |\n";
    }
    my $changes = join '; ', map { cell($_->[0]) . ' to ' . cell($_->[1]) } @{$entry->{changes}};
    my $caught = $verdict eq 'caught' ? "`$test`" : $verdict eq 'equivalent' ? "equivalent: $test" : "**$verdict**";
    $rows .= "| $entry->{name} | `$entry->{file}` | $changes | $caught | $entry->{id} |\n";
}
my $summary = join ', ', map { "$count{$_} $_" } grep { $count{$_} } qw(caught equivalent survived), 'not run', 'nothing ran', 'error';
write_file($page, <<"PAGE");
# Mutations

Each row changes the product in one place, and names a test that then fails. An equivalent change cannot be seen from
outside; its row gives the reason. `tests/mutation/run.pl` writes this page; do not edit it.
`tests/mutation/README.md` says how to run it and how to add a row.

${\scalar @entries} mutations: $summary.
$rows
PAGE
print "$summary\n";
exit($errors || $count{survived} || $count{'not run'} ? 1 : 0);
