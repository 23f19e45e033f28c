#include "tests/unit/nginx-module/spool/fault_files.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace runledger::edge::test {

void FaultFiles::fail(Op op, int error) {
    const std::scoped_lock lock(control_);
    errors_[op] = error;
}

void FaultFiles::fail_times(Op op, int error, int count) {
    const std::scoped_lock lock(control_);
    counted_errors_[op] = {error, count};
}

void FaultFiles::heal() {
    const std::scoped_lock lock(control_);
    errors_.clear();
    counted_errors_.clear();
}

void FaultFiles::write_short(std::size_t bytes_max) {
    const std::scoped_lock lock(control_);
    write_bytes_max_ = bytes_max;
}

void FaultFiles::set_disk_bytes(std::uint64_t bytes) {
    const std::scoped_lock lock(control_);
    disk_bytes_ = bytes;
}

void FaultFiles::on_change(std::function<void(Op)> hook) {
    const std::scoped_lock lock(control_);
    hook_ = std::move(hook);
}

int FaultFiles::injected_error(Op op) {
    const std::scoped_lock lock(control_);
    if (const auto found = counted_errors_.find(op); found != counted_errors_.end() && found->second.second > 0) {
        --found->second.second;
        return found->second.first;
    }
    const auto found = errors_.find(op);
    return found != errors_.end() ? found->second : 0;
}

void FaultFiles::step(Op op) {
    if (dead_) {
        throw Dead();
    }
    if (++steps_ >= die_at_) {
        dead_ = true;
        throw Dead();
    }
    std::function<void(Op)> hook;
    {
        const std::scoped_lock lock(control_);
        hook = hook_;
    }
    if (hook) {
        hook(op);  // Without the lock: it may hang.
    }
    if (const int error = injected_error(op); error != 0) {
        throw std::system_error(error, std::generic_category(), "injected");
    }
}

Fd FaultFiles::create(const std::string& path) {
    step(Op::create);
    Fd fd = PosixFiles::create(path);
    const FileId id = steps_;
    ids_[facts(fd.get()).inode] = id;
    durable_content_[id] = {};
    return fd;
}

std::size_t FaultFiles::write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) {
    try {
        step(Op::write);
    } catch (const std::exception&) {
        // What fails, or dies, may have written a part.
        (void)PosixFiles::write_at(fd, bytes.first(bytes.size() / 2), offset);
        throw;
    }
    std::size_t bytes_max = 0;
    {
        const std::scoped_lock lock(control_);
        bytes_max = write_bytes_max_;
    }
    return PosixFiles::write_at(fd, bytes.first(std::min(bytes.size(), bytes_max)), offset);
}

std::size_t FaultFiles::read_at(int fd, std::span<std::byte> bytes, std::uint64_t offset) {
    // Reading changes nothing: no step.
    if (const int error = injected_error(Op::read); error != 0) {
        throw std::system_error(error, std::generic_category(), "injected");
    }
    return PosixFiles::read_at(fd, bytes, offset);
}

void FaultFiles::reserve(int fd, std::uint64_t bytes) {
    step(Op::reserve);
    std::optional<std::uint64_t> disk_bytes;
    {
        const std::scoped_lock lock(control_);
        disk_bytes = disk_bytes_;
    }
    if (disk_bytes && allocated_in_folder() + bytes > *disk_bytes) {
        throw std::system_error(ENOSPC, std::generic_category(), "injected");
    }
    PosixFiles::reserve(fd, bytes);
}

void FaultFiles::truncate(int fd, std::uint64_t bytes) {
    step(Op::truncate);
    PosixFiles::truncate(fd, bytes);
}

void FaultFiles::sync(int fd) {
    step(Op::sync);
    durable_content_[ids_.at(facts(fd).inode)] = content(fd);
}

void FaultFiles::sync_folder(const std::string& path) {
    step(Op::sync_folder);
    durable_names_.clear();
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
        durable_names_[entry.path().filename()] = ids_[PosixFiles::facts(entry.path().string())->inode];
    }
}

void FaultFiles::unlink(const std::string& path) {
    step(Op::unlink);
    PosixFiles::unlink(path);
}

void FaultFiles::rename(const std::string& from, const std::string& to) {
    step(Op::rename);
    PosixFiles::rename(from, to);
}

std::vector<std::string> FaultFiles::list(const std::string& folder) {
    if (const int error = injected_error(Op::list); error != 0) {
        throw std::system_error(error, std::generic_category(), "injected");
    }
    return PosixFiles::list(folder);
}

FaultFiles::Bytes FaultFiles::content(int fd) {
    Bytes bytes(facts(fd).size_bytes);
    std::size_t done = 0;
    while (done < bytes.size()) {
        const std::size_t got = PosixFiles::read_at(fd, std::span(bytes).subspan(done), done);  // No injected error.
        if (got == 0) {
            break;
        }
        done += got;
    }
    bytes.resize(done);
    return bytes;
}

std::uint64_t FaultFiles::allocated_in_folder() {
    std::uint64_t bytes = 0;
    for (const std::string& name : PosixFiles::list(folder_)) {
        if (const auto file = PosixFiles::facts(folder_ + "/" + name); file && name != "." && name != "..") {
            bytes += file->allocated_bytes;
        }
    }
    return bytes;
}

FaultFiles::Bytes FaultFiles::torn(const Bytes& durable, const Bytes& current, std::mt19937_64& random) const {
    constexpr std::size_t sector_bytes = 512;
    Bytes result = random() % 2 == 0 ? durable : current;  // Whose length it is.
    for (std::size_t at = 0; at < result.size(); at += sector_bytes) {
        const Bytes& source = random() % 2 == 0 ? durable : current;
        const std::size_t end = std::min(at + sector_bytes, result.size());
        for (std::size_t i = at; i < end; ++i) {
            result[i] = i < source.size() ? source[i] : std::byte{0};
        }
    }
    return result;
}

void FaultFiles::power_loss(Unsynced unsynced, std::uint64_t seed) {
    dead_ = false;
    die_at_ = UINT64_MAX;
    std::mt19937_64 random(seed);

    std::map<std::string, FileId> current_names;
    std::map<FileId, Bytes> current_content;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
        const std::string path = entry.path();
        const FileId id = ids_.at(PosixFiles::facts(path)->inode);
        current_names[entry.path().filename()] = id;
        current_content[id] = content(PosixFiles::open(path)->get());
    }
    std::map<std::string, Bytes> survivors;
    const auto survive = [&](const std::string& name, FileId id) {
        const Bytes& durable = durable_content_[id];
        const auto found = current_content.find(id);
        const Bytes& current = found != current_content.end() ? found->second : durable;
        switch (unsynced) {
            case Unsynced::lost:
                survivors[name] = durable;
                break;
            case Unsynced::kept:
                survivors[name] = current;
                break;
            case Unsynced::torn:
                survivors[name] = torn(durable, current, random);
                break;
        }
    };
    for (const auto& [name, id] : durable_names_) {
        const bool still_there = current_names.contains(name);
        if (still_there || unsynced == Unsynced::lost || (unsynced == Unsynced::torn && random() % 2 == 0)) {
            survive(name, id);
        }
    }
    for (const auto& [name, id] : current_names) {
        const bool is_new = !durable_names_.contains(name);
        if (is_new && (unsynced == Unsynced::kept || (unsynced == Unsynced::torn && random() % 2 == 0))) {
            survive(name, id);
        }
    }

    ids_.clear();
    durable_names_.clear();
    durable_content_.clear();
    FileId next_id = steps_ + 1;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
        std::filesystem::remove(entry.path());
    }
    for (const auto& [name, bytes] : survivors) {
        const std::string path = folder_ + "/" + name;
        const Fd fd = PosixFiles::create(path);
        write_fully(*this, fd.get(), bytes, 0);
        const FileId id = next_id++;
        ids_[facts(fd.get()).inode] = id;
        durable_names_[name] = id;
        durable_content_[id] = bytes;
    }
    steps_ = next_id;
}

}  // namespace runledger::edge::test
