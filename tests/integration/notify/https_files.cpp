#include "tests/integration/notify/https_files.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <cstring>
#include <stdexcept>

#include "tests/support/process.hpp"

namespace runledger::test {
namespace {

// Made once for the program.
const TempFolder& certificate_folder() {
    static const TempFolder folder;
    static const bool is_made = [] {
        const Finished made = run_to_end(
            {.argv = {"/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                      "-nodes", "-days", "2", "-subj", "/CN=files.media.example", "-addext",
                      "subjectAltName=DNS:*.media.example", "-keyout", (folder.path() / "key.pem").string(), "-out",
                      (folder.path() / "certificate.pem").string()},
             .drop_privileges = false},
            folder);
        if (!made.status.clean()) {
            throw std::runtime_error("openssl makes no certificate: " + made.output);
        }
        return true;
    }();
    (void)is_made;
    return folder;
}

bool is_address(const sockaddr& address, const std::string& text) {
    if (address.sa_family != AF_INET) {
        return false;
    }
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    in_addr wanted{};
    return inet_pton(AF_INET, text.c_str(), &wanted) == 1 && v4.sin_addr.s_addr == wanted.s_addr;
}

}  // namespace

HttpsFiles::HttpsFiles(const std::string& address, std::uint16_t port)
    : address_(address),
      port_(port != 0 ? port : free_port()),
      server_(std::make_unique<httplib::SSLServer>((certificate_folder().path() / "certificate.pem").c_str(),
                                                   (certificate_folder().path() / "key.pem").c_str())) {
    const auto answers = [this](const char* path, int status, const char* body) {
        server_->Get(path, [this, status, body](const httplib::Request&, httplib::Response& response) {
            ++requests_;
            response.status = status;
            response.set_content(body, "image/png");
        });
    };
    answers("/a.png", 200, picture);
    answers("/b.png", 200, picture);
    answers("/gone", 404, "nothing");
    answers("/refused", 403, "<Error>Request has expired</Error>");
    answers("/broken", 500, "oh");
    answers("/empty", 200, "");
    server_->Get("/redirect", [this](const httplib::Request&, httplib::Response& response) {
        ++requests_;
        response.set_redirect("/a.png");
    });
    const auto give = [this](httplib::DataSink& sink) {
        const std::string block(64U * 1024, 'x');
        return !ends_ && sink.write(block.data(), block.size());
    };
    server_->Get("/huge", [this, give](const httplib::Request&, httplib::Response& response) {
        ++requests_;
        response.set_content_provider(1'000'000'000, "image/png",
                                      [give](std::size_t, std::size_t, httplib::DataSink& sink) { return give(sink); });
    });
    server_->Get("/endless", [this, give](const httplib::Request&, httplib::Response& response) {
        ++requests_;
        response.set_chunked_content_provider("image/png",
                                              [give](std::size_t, httplib::DataSink& sink) { return give(sink); });
    });
    server_->Get("/silent", [this](const httplib::Request&, httplib::Response&) {
        ++requests_;
        while (!ends_) {
            std::this_thread::yield();
        }
    });
    if (!server_->bind_to_port(address_.c_str(), port_)) {
        throw std::runtime_error(fmt::format("can't listen on {}:{}", address_, port_));
    }
    thread_ = std::thread([this] { server_->listen_after_bind(); });
    while (!server_->is_running()) {
        std::this_thread::yield();  // stop() before the thread has begun would be lost.
    }
}

HttpsFiles::~HttpsFiles() {
    ends_ = true;
    server_->stop();
    thread_.join();
}

telegram::Fetcher::Options HttpsFiles::options() const {
    telegram::Fetcher::Options options;
    options.host_suffixes = {"media.example"};
    options.timeout = std::chrono::seconds{5};
    options.is_allowed_address = [allowed = address_](const sockaddr& address, socklen_t) {
        return is_address(address, allowed);
    };
    options.ca_file = (certificate_folder().path() / "certificate.pem").string();
    options.resolved = {fmt::format("{}:{}:{}", host, port_, address_)};
    options.port = port_;
    return options;
}

}  // namespace runledger::test
