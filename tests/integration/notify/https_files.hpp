// A host of files over https on loopback, with a certificate of its own: what a run's outputs are linked at.
//
// Listens on return, gone with the object. Counts every connection's requests. Its public functions may be called from
// any thread.
#pragma once

#include <httplib.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "daemon/telegram/fetch.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {

class HttpsFiles {
public:
    static constexpr const char* host = "files.media.example";

    // `address` is one of loopback's. A second one on the same port needs another address.
    explicit HttpsFiles(const std::string& address = "127.0.0.1", std::uint16_t port = 0);
    ~HttpsFiles();
    HttpsFiles(const HttpsFiles&) = delete;
    HttpsFiles& operator=(const HttpsFiles&) = delete;

    // /a.png is a picture; /gone and /refused are 404 and 403; /redirect leads to /a.png; /huge says that it has
    // 1 GB, /endless does not end and does not say so; /silent is never answered; /empty has nothing.
    [[nodiscard]] static std::string url(const std::string& path) { return std::string("https://") + host + path; }
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] int requests() const noexcept { return requests_; }

    // For a fetcher that finds the host here, and may connect to this address of loopback and no other.
    [[nodiscard]] telegram::Fetcher::Options options() const;

    static constexpr const char* picture = "\x89PNG\r\n\x1a\n and so on";

private:
    std::string address_;
    std::uint16_t port_;
    std::atomic<int> requests_{0};
    std::atomic<bool> ends_{false};
    std::unique_ptr<httplib::SSLServer> server_;
    std::thread thread_;
};

}  // namespace runledger::test
