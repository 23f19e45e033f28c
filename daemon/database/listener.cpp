#include "daemon/database/listener.hpp"

#include <pqxx/pqxx>

#include <utility>

#include "daemon/database/transaction.hpp"

namespace runledger {

class ChannelListener::Receiver : public pqxx::notification_receiver {
public:
    Receiver(pqxx::connection& connection, const std::string& channel, std::function<void(int backend)> on_notice)
        : pqxx::notification_receiver(connection, channel), on_notice_(std::move(on_notice)) {}

    void operator()(const std::string& /*payload*/, int backend) override { on_notice_(backend); }

private:
    std::function<void(int backend)> on_notice_;
};

ChannelListener::ChannelListener(Database& database, const std::string& channel,
                                 std::function<void(int backend)> on_notice)
    : connection_(database.connection()) {
    begin_own_session(connection_);
    receiver_ = std::make_unique<Receiver>(connection_, channel, std::move(on_notice));
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
