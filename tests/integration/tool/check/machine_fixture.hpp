// A machine that is ready for the daemon: a migrated database, a socket's folder, secrets, and stand-ins of Telegram
// and ComfyDeploy. A test breaks one thing of it and asks `runledger check`.
//
// One PostgreSQL serves the program; a test that changes its database takes a copy of its own.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/integration/tool/check/report.hpp"
#include "tests/stand_ins/bot_api.hpp"
#include "tests/stand_ins/comfy_api.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {

class CheckedMachine : public testing::Test {
protected:
    CheckedMachine();

    [[nodiscard]] static PostgresServer& server();
    // A copy of the migrated database, which the configuration then names.
    [[nodiscard]] std::string own_database();
    void sql(std::string_view database, std::string_view statements) const;

    // "postgres.uri" gets a TOML value: "\"dbname=x\"".
    void set(std::string_view key, std::string value) { keys_[std::string(key)] = std::move(value); }
    void set_text(std::string_view key, std::string_view text) { set(key, "\"" + std::string(text) + "\""); }
    // Lines that the configuration has besides.
    void add_lines(std::string_view lines) { more_lines_ += lines; }

    [[nodiscard]] const TempFolder& folder() const { return folder_; }
    [[nodiscard]] std::filesystem::path socket_path() const { return sockets_ / "daemon.sock"; }
    [[nodiscard]] const std::filesystem::path& sockets() const { return sockets_; }
    [[nodiscard]] const std::filesystem::path& spool() const { return spool_; }
    [[nodiscard]] const std::filesystem::path& token_file() const { return token_file_; }
    [[nodiscard]] const std::filesystem::path& key_file() const { return key_file_; }
    [[nodiscard]] std::filesystem::path configuration() const { return folder_ / "runledgerd.toml"; }
    [[nodiscard]] BotApi& telegram() { return telegram_; }
    [[nodiscard]] ComfyApiStandIn& comfydeploy() { return comfydeploy_; }

    // Writes the configuration. check() does so, too.
    void write_configuration() const;
    // `runledger check --json <words>`, as the user that owns all of this.
    [[nodiscard]] CheckReport check(const std::vector<std::string>& words = {}) const;
    // The same without --json.
    [[nodiscard]] Finished check_in_text(const std::vector<std::string>& words = {}) const;

private:
    [[nodiscard]] Finished run(const std::vector<std::string>& words) const;

    TempFolder folder_;
    BotApi telegram_;
    ComfyApiStandIn comfydeploy_;
    std::filesystem::path sockets_;
    std::filesystem::path spool_;
    std::filesystem::path token_file_;
    std::filesystem::path key_file_;
    std::map<std::string, std::string> keys_;
    std::string more_lines_;
};

}  // namespace runledger::test
