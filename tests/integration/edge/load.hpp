// Events posted over and over while a test does something to nginx, and what came of each.
//
// A few threads, each with one request at a time on a connection of its own. Every body occurs once, in this process.
// The public members are for the test's thread.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace runledger::test {

class Load {
public:
    explicit Load(std::string url);
    ~Load();
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;

    // Returns when so many more events have been answered 200 than now.
    void wait_for_answers(std::size_t more);
    // Starts nothing more; returns when every request has its answer, or none.
    void stop();

    // The bodies that were answered 200.
    [[nodiscard]] std::vector<std::string> answered() const;
    // Of each other request: the status, or libcurl's words.
    [[nodiscard]] std::vector<std::string> failures() const;

private:
    void run(int sender);

    std::string url_;
    mutable std::mutex mutex_;  // Guards what follows.
    std::condition_variable stopped_;
    bool stopping_{false};
    std::vector<std::string> answered_;
    std::vector<std::string> failures_;

    std::vector<std::thread> senders_;
};

}  // namespace runledger::test
