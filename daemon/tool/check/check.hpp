// `runledger check`: whether this machine is ready for the daemon, and with --public-url whether the webhook can be
// reached from outside. Exit code 0: nothing failed; 3: something did; 2: the command line is wrong; 1: the token file
// can't be used.
//
// It changes nothing: it reads, connects and asks.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>

#include "daemon/tool/check/finding.hpp"
#include "daemon/tool/check/public_url.hpp"

namespace runledger::tool {

// Must outlive the app's parsing, which writes into it.
class CheckCli {
public:
    explicit CheckCli(CLI::App& app);
    CheckCli(const CheckCli&) = delete;
    CheckCli& operator=(const CheckCli&) = delete;

    [[nodiscard]] bool parsed() const { return command_->parsed(); }
    // With --public-url none is read.
    [[nodiscard]] bool needs_config() const { return public_url_.url.empty(); }
    // Writes what it finds to `out`; returns what main() is to return.
    int run(const std::filesystem::path& config_file, std::FILE* out);

private:
    void check_machine(const std::filesystem::path& config_file, Findings& findings) const;

    PublicUrlOptions public_url_;
    std::filesystem::path spool_;
    std::filesystem::path nginx_folder_{"/etc/nginx"};
    std::uint64_t spool_bytes_max_{1024UL * 1024 * 1024};
    std::string user_{"runledger"};
    bool json_{false};
    bool strict_{false};
    CLI::App* command_;
};

}  // namespace runledger::tool
