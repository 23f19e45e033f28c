#include "daemon/tool/import/import.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <optional>
#include <span>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "common/digest.hpp"
#include "daemon/base/obeyed_characters.hpp"
#include "daemon/database/database.hpp"
#include "daemon/database/transaction.hpp"
#include "daemon/tool/import/line_reader.hpp"
#include "daemon/tool/output/exit_code.hpp"
#include "queries/imports.hpp"

namespace runledger::tool {
namespace {

constexpr std::size_t lines_a_batch = 500;
constexpr std::size_t bytes_a_batch = 1U << 20U;
constexpr std::chrono::milliseconds look_again_after{500};
constexpr std::size_t chunk_bytes = 256U << 10U;
// Of both ends of what was read: what is compared while the file is followed.
constexpr std::size_t end_bytes_max = 4096;

std::string hex_of(std::string_view bytes) {
    return fmt::format("\\x{:02x}", fmt::join(std::as_bytes(std::span(bytes)), ""));
}

class File {
public:
    // "-": standard input, which is nobody's to close.
    explicit File(const std::string& name) : name_(name), is_stdin_(name == "-") {
        descriptor_ = is_stdin_ ? STDIN_FILENO : ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
        if (descriptor_ < 0) {
            throw std::system_error(errno, std::generic_category(), name);
        }
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() {
        if (!is_stdin_) {
            ::close(descriptor_);
        }
    }

    [[nodiscard]] int descriptor() const { return descriptor_; }
    [[nodiscard]] bool is_stdin() const { return is_stdin_; }

    // These bytes; nothing: the file does not reach so far.
    [[nodiscard]] std::optional<std::string> read_at(std::int64_t place, std::size_t count) const {
        std::string bytes(count, '\0');
        std::size_t done = 0;
        while (done < count) {
            const ssize_t got =
                ::pread(descriptor_, bytes.data() + done, count - done, place + static_cast<std::int64_t>(done));
            if (got < 0 && errno == EINTR) {
                continue;
            }
            if (got <= 0) {
                return std::nullopt;
            }
            done += static_cast<std::size_t>(got);
        }
        return bytes;
    }

    void seek(std::int64_t position) const {
        if (::lseek(descriptor_, position, SEEK_SET) < 0) {
            throw std::system_error(errno, std::generic_category(), name_);
        }
    }

    // Whether its name names another file now.
    [[nodiscard]] bool was_moved() const {
        struct stat mine {};
        struct stat named {};
        if (::fstat(descriptor_, &mine) != 0 || ::stat(name_.c_str(), &named) != 0) {
            return false;  // It is being replaced: look again.
        }
        return mine.st_ino != named.st_ino || mine.st_dev != named.st_dev;
    }

private:
    std::string name_;
    bool is_stdin_;
    int descriptor_;
};

// What was read of a file: whether another one, or the same one later, begins with the same bytes.
class ReadPart {
public:
    // Of all bytes before the place, which is not before the last one; empty: the file does not reach so far.
    [[nodiscard]] std::string digest_to(const File& file, std::int64_t position) {
        while (position_ < position) {
            const auto count = std::min(static_cast<std::size_t>(position - position_), chunk_bytes);
            const auto bytes = file.read_at(position_, count);
            if (!bytes) {
                return "";
            }
            digest_.add(std::as_bytes(std::span(*bytes)));
            position_ += static_cast<std::int64_t>(count);
        }
        ends_ = ends_of(file);
        return fmt::format("\\x{:02x}", fmt::join(digest_.digest(), ""));
    }

    // Whether both ends of it are as they were. A glance, for each look at a file that is followed.
    [[nodiscard]] bool is_as_it_was(const File& file) const { return ends_ && ends_of(file) == ends_; }

private:
    [[nodiscard]] std::optional<std::string> ends_of(const File& file) const {
        const auto count = std::min(static_cast<std::size_t>(position_), end_bytes_max);
        const auto first = file.read_at(0, count);
        const auto last = file.read_at(position_ - static_cast<std::int64_t>(count), count);
        return first && last ? std::optional(*first + *last) : std::nullopt;
    }

    RunningDigest128 digest_;
    std::int64_t position_{0};
    std::optional<std::string> ends_{""};
};

struct Counts {
    std::int64_t imported{0};
    std::int64_t changed{0};
    std::int64_t repeated{0};
    std::int64_t refused{0};
    std::int64_t undated{0};  // Of those that were imported or changed: they have ended, and nothing says when.

    [[nodiscard]] std::int64_t all() const { return imported + changed + repeated + refused; }
    void add(const Counts& other) {
        imported += other.imported;
        changed += other.changed;
        repeated += other.repeated;
        refused += other.refused;
        undated += other.undated;
    }
};

struct Batch {
    ArrayLiteral numbers;
    ArrayLiteral lines;  // As bytea: one that is no UTF-8 is refused alone.
    std::size_t bytes{0};

    void add(const Line& line) {
        numbers.add(line.number);
        if (line.is_too_long) {
            lines.add_null();
        } else {
            lines.add(hex_of(line.text));
        }
        bytes += line.text.size();
    }
    [[nodiscard]] bool is_full() const { return numbers.size() >= lines_a_batch || bytes >= bytes_a_batch; }
};

// The keys of a document that say when it was asked for, and when it ended, as array literals.
struct TimeKeys {
    std::string requested_at;
    std::string ended_at;
};

class Importer {
public:
    Importer(const std::string& uri, std::string source, TimeKeys time_keys, bool is_strict, Output& out)
        : database_(uri, "import"),
          source_(std::move(source)),
          time_keys_(std::move(time_keys)),
          is_strict_(is_strict),
          out_(out) {}

    // Where to go on in the file. `again`: at its beginning.
    LineReader begin(const File& file, bool again) {
        const auto known = known_position();
        position_ = known.position;
        read_ = {};
        std::int64_t lines = known.lines;
        const bool is_another =
            !file.is_stdin() && !again && position_ > 0 && read_.digest_to(file, position_) != known.before;
        if (file.is_stdin() || again || is_another) {
            if (is_another) {
                out_.warn(fmt::format("{} is another file than the one that was read: it is read from its beginning",
                                      source_));
            }
            start_over();
            read_ = {};
            lines = 0;
        }
        if (!file.is_stdin()) {
            file.seek(position_);
        }
        return {file.descriptor(), position_, lines};
    }

    // Commits the lines, and how far the reader is. Throws std::runtime_error if somebody else imports this source, and
    // with --strict if a line is refused.
    void commit(const Batch& batch, const File& file, const LineReader& reader) {
        Transaction work(database_, unbounded);
        const auto [counts, refusals] = import_lines(work, batch);
        if (is_strict_ && !refusals.empty()) {
            throw std::runtime_error(
                fmt::format("{}; nothing from line {} on was imported", refusals.front(),
                            reader.line_count() - static_cast<std::int64_t>(batch.numbers.size()) + 1));
        }
        store(work, counts, file, reader);
        for (const std::string& refusal : refusals) {
            out_.warn(refusal);
        }
    }

    // A last line without an end: whole, if it can be imported; else somebody may still be writing it, and it stays.
    // Returns whether it was taken. `is_the_end`: nothing will come, so it is a line like any other.
    bool commit_rest(const File& file, LineReader& reader, bool is_the_end) {
        Batch batch;
        batch.add(reader.take_rest());
        if (is_the_end) {
            commit(batch, file, reader);
            return true;
        }
        Transaction work(database_, unbounded);
        const auto [counts, refusals] = import_lines(work, batch);
        if (!refusals.empty()) {
            return false;
        }
        store(work, counts, file, reader);
        return true;
    }

    // Whether other bytes are in the file than those that were read.
    [[nodiscard]] bool was_written_anew(const File& file, const LineReader& reader) const {
        const std::string_view rest = reader.rest().substr(0, end_bytes_max);
        return position_ > 0 ? !read_.is_as_it_was(file) : file.read_at(reader.rest_position(), rest.size()) != rest;
    }

    [[nodiscard]] const Counts& counts() const { return total_; }

private:
    struct Known {
        std::int64_t position{0};
        std::string before{};
        std::int64_t lines{0};
    };
    struct Imported {
        Counts counts;
        std::vector<std::string> refusals;
    };

    Known known_position() {
        Transaction work(database_, unbounded);
        const auto rows = work.run(queries::imports::position, source_);
        if (rows.empty()) {
            return {};
        }
        return {rows[0][0].as<std::int64_t>(), rows[0][1].as<std::string>(), rows[0][2].as<std::int64_t>()};
    }

    void start_over() {
        Transaction work(database_, unbounded);
        work.run(queries::imports::start_over, source_);
        database_.commit(work);
        position_ = 0;
    }

    [[nodiscard]] Imported import_lines(const Statements& work, const Batch& batch) const {
        Imported imported;
        for (const auto& row : work.run(queries::imports::lines, source_, batch.numbers.str(), batch.lines.str(),
                                        time_keys_.requested_at, time_keys_.ended_at)) {
            const auto outcome = row[1].as<std::string>();
            imported.counts.undated += row[3].as<bool>() ? 1 : 0;
            if (outcome == "imported") {
                ++imported.counts.imported;
            } else if (outcome == "changed") {
                ++imported.counts.changed;
            } else if (outcome == "repeated") {
                ++imported.counts.repeated;
            } else if (outcome == "refused") {
                ++imported.counts.refused;
                imported.refusals.push_back(
                    fmt::format("line {}: {}", row[0].as<std::int64_t>(), one_line(row[2].as<std::string>())));
            }
        }
        return imported;
    }

    void store(Transaction& work, const Counts& counts, const File& file, const LineReader& reader) {
        const std::int64_t position = file.is_stdin() ? 0 : reader.position();
        const std::string before = file.is_stdin() ? "\\x" : read_.digest_to(file, position);
        const auto rows = work.run(queries::imports::store, source_, position_, position, before, reader.line_count(),
                                   counts.imported, counts.changed, counts.repeated, counts.refused);
        if (rows.empty()) {
            throw std::runtime_error(fmt::format("another import of {} has gone on meanwhile; this one ends", source_));
        }
        database_.commit(work);
        position_ = position;
        total_.add(counts);
    }

    Database database_;
    std::string source_;
    TimeKeys time_keys_;
    bool is_strict_;
    Output& out_;
    std::int64_t position_{0};  // As it is stored.
    ReadPart read_;
    Counts total_;
};

std::string words_of(const Counts& counts) {
    return fmt::format("{} imported, {} changed, {} there already, {} refused{}", counts.imported, counts.changed,
                       counts.repeated, counts.refused,
                       counts.undated > 0 ? fmt::format(", {} without the time of their ending", counts.undated) : "");
}

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r") == std::string_view::npos; }

// Whether something can be read at once; the end of a pipe can.
bool has_input(int descriptor) {
    pollfd waits{.fd = descriptor, .events = POLLIN, .revents = 0};
    return ::poll(&waits, 1, 0) != 0;
}

// Reads the file to where it ends now, and commits its complete lines.
void import_what_is_there(Importer& importer, const File& file, LineReader& reader, Output& out) {
    Batch batch;
    const auto commit = [&] {
        if (batch.numbers.size() > 0) {
            importer.commit(batch, file, reader);
            batch = {};
            out.show_progress("importing", static_cast<std::uint64_t>(importer.counts().all()), 0);
        }
    };
    while (true) {
        while (const auto line = reader.take()) {
            if (!is_blank(line->text) || line->is_too_long) {
                batch.add(*line);
            }
            if (batch.is_full()) {
                commit();
            }
        }
        // What has come through a pipe is not kept waiting for what may come.
        if (file.is_stdin() && !has_input(file.descriptor())) {
            commit();
        }
        if (!reader.read()) {
            break;
        }
    }
    commit();
}

}  // namespace

ImportCli::ImportCli(CLI::App& app)
    : command_(app.add_subcommand("import", "Make generations of a document store's documents, one on each line")) {
    command_->add_option("FILE", file_, "JSON documents, as mongoexport writes them; - is standard input")->required();
    command_->add_flag("--follow", follow_, "Go on with what is added to the file, until interrupted");
    command_->add_option("--source", source_, "The name by which the position is kept; else the file's path");
    command_->add_flag("--again", again_, "Read the file from its beginning; what is there already stays as it is");
    command_->add_flag("--strict", strict_, "End at the first line that can't be imported");
    command_
        ->add_option("--requested-at", requested_at_,
                     "Keys that say when a document was asked for; the first that is not null counts")
        ->delimiter(',')
        ->capture_default_str();
    command_
        ->add_option("--ended-at", ended_at_, "Keys that say when a document ended; the first that is not null counts")
        ->delimiter(',')
        ->capture_default_str();
}

int ImportCli::run(const std::string& postgres_uri, Output& out) const {
    const bool is_stdin = file_ == "-";
    const std::string source = !source_.empty() ? source_ : is_stdin ? "-" : std::filesystem::absolute(file_).string();
    Importer importer(postgres_uri, source, {.requested_at = array_of(requested_at_), .ended_at = array_of(ended_at_)},
                      strict_, out);
    const auto report = [&](const Counts& counts) {
        if (out.as_json) {
            out.print(JsonObject()
                          .add("source", source)
                          .add("imported", counts.imported)
                          .add("changed", counts.changed)
                          .add("repeated", counts.repeated)
                          .add("refused", counts.refused)
                          .add("undated", counts.undated));
        } else {
            out.print("{}\n", words_of(counts));
        }
    };
    bool is_again = again_;
    std::int64_t reported = 0;
    while (true) {
        const File file(file_);
        LineReader reader = importer.begin(file, is_again);
        while (true) {
            import_what_is_there(importer, file, reader, out);
            if (!follow_ || is_stdin) {
                const bool is_whole = is_blank(reader.rest()) || importer.commit_rest(file, reader, file.is_stdin());
                if (!is_whole) {
                    out.warn(
                        fmt::format("line {}, the last one, has no end and can't be imported as it is: it is left for "
                                    "the next time",
                                    reader.line_count()));
                }
                report(importer.counts());
                return is_whole && importer.counts().refused == 0 ? exit_yes : exit_no;
            }
            if (importer.counts().all() != reported) {
                reported = importer.counts().all();
                report(importer.counts());
                static_cast<void>(out.flush());  // If nobody reads it, the import goes on.
            }
            std::this_thread::sleep_for(look_again_after);
            const bool was_moved = file.was_moved();
            if (was_moved) {
                import_what_is_there(importer, file, reader, out);  // What came to it last.
            }
            if (was_moved || importer.was_written_anew(file, reader)) {
                if (!is_blank(reader.rest())) {
                    static_cast<void>(importer.commit_rest(file, reader, true));  // Taken, or refused and counted.
                }
                break;
            }
        }
        is_again = false;  // begin() sees that it is another file.
    }
}

}  // namespace runledger::tool
