#include "daemon/database/listener.hpp"

#include <pqxx/pqxx>

#include <utility>

#include "daemon/database/transaction.hpp"

namespace runledger {

ChannelListener::ChannelListener(Database& database, const std::string& channel,
                                 std::function<void(int backend)> on_notice)
    : connection_(database.connection()) {
    begin_own_session(connection_);
    receiver_ = std::make_unique<libpqxx::ChannelReceiver>(
        connection_, channel,
        [handler = std::move(on_notice)](std::string_view /*payload*/, int backend) { handler(backend); });
    database.answered();
}

ChannelListener::~ChannelListener() = default;

int ChannelListener::socket() const {
    const int descriptor = connection_.sock();
    if (descriptor < 0) {
        throw pqxx::broken_connection("the connection is gone");
    }
    return descriptor;
}

void ChannelListener::take() { connection_.get_notifs(); }

}  // namespace runledger
