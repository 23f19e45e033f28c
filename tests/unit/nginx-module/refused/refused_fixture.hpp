// A folder of refused bodies, a disk that a test can fill, fail or hang, and bodies to keep.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "common/refused_format.hpp"
#include "nginx-module/refused/refused_settings.hpp"
#include "nginx-module/spool/files.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::edge::test {

class TroubledFiles : public PosixFiles {
public:
    std::atomic<int> create_error{0};
    std::atomic<int> write_error{0};
    std::atomic<bool> hangs{false};
    std::atomic<std::uint64_t> free_percent{100};

    [[nodiscard]] Fd create_private(const std::string& path) override {
        while (hangs) {
            std::this_thread::sleep_for(std::chrono::milliseconds{1});
        }
        fail_with(create_error);
        return PosixFiles::create_private(path);
    }
    [[nodiscard]] std::size_t write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override {
        fail_with(write_error);
        return PosixFiles::write_at(fd, bytes, offset);
    }
    [[nodiscard]] FileSystemRoom room(const std::string& folder) override {
        (void)PosixFiles::room(folder);  // Fails where there is no such folder.
        return {.bytes = 1000, .bytes_free = 10 * free_percent, .files = 1000, .files_free = 10 * free_percent};
    }

private:
    static void fail_with(int error) {
        if (error != 0) {
            throw std::system_error(error, std::generic_category(), "test");
        }
    }
};

class RefusedFixture : public ::testing::Test {
protected:
    static constexpr std::uint32_t stranger = 0xbad;
    static constexpr std::uint32_t sender = 0x600d;

    RefusedFixture() {
        settings_.folder = temp_.make_folder("refused").string();
        settings_.edge_name = "edge-1";
        settings_.files = files_;
    }

    [[nodiscard]] static WallTime time_at(int second) { return WallTime{std::chrono::seconds{1'700'000'000 + second}}; }
    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(settings_.folder)) {
            names.push_back(entry.path().filename());
        }
        std::ranges::sort(names);
        return names;
    }
    [[nodiscard]] RefusedBody read(const std::string& name) const {
        auto decoded = decode_refused(runledger::test::read_text(std::filesystem::path(settings_.folder) / name));
        EXPECT_TRUE(std::holds_alternative<RefusedBody>(decoded)) << name;
        return std::holds_alternative<RefusedBody>(decoded) ? std::get<RefusedBody>(decoded) : RefusedBody{};
    }

    runledger::test::TempFolder temp_;
    std::shared_ptr<TroubledFiles> files_ = std::make_shared<TroubledFiles>();
    RefusedSettings settings_;
};

}  // namespace runledger::edge::test
