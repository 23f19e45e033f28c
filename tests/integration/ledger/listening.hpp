// LISTEN to a channel, and what was said there so far.
#pragma once

#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/database/libpqxx.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres_server.hpp"

namespace runledger::test {

class Listening {
public:
    // Not through a pooler.
    Listening(const std::string& uri, std::string channel)
        : connection_(connect_to(uri)),
          channel_(std::move(channel)),
          receiver_(*connection_, channel_, [this](std::string_view payload, int) { heard_.emplace_back(payload); }) {}

    // The payloads of all that was committed before, since the last time. Notifications come in the order of commits:
    // one of its own says that they are all there.
    [[nodiscard]] std::vector<std::string> take() {
        constexpr const char* mark = "so far";
        pqxx::nontransaction(*connection_).exec("NOTIFY " + channel_ + ", '" + mark + "'");
        eventually("its own notification comes", [&] {
            connection_->get_notifs();
            return !heard_.empty() && heard_.back() == mark;
        });
        heard_.pop_back();
        return std::exchange(heard_, {});
    }

private:
    std::vector<std::string> heard_;
    std::unique_ptr<pqxx::connection> connection_;
    std::string channel_;
    libpqxx::ChannelReceiver receiver_;
};

}  // namespace runledger::test
