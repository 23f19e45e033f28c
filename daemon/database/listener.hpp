// LISTEN on one channel of PostgreSQL's, through a Database whose connection nobody else uses.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "daemon/database/database.hpp"
#include "daemon/database/libpqxx.hpp"

namespace runledger {

class ChannelListener {
public:
    // Says LISTEN. `on_notice` is called by take(), with the server's process that the notification is from.
    // Throws PoolerInTheWay, since another client of a pooler's would hear it; what pqxx throws.
    ChannelListener(Database& database, const std::string& channel, std::function<void(int backend)> on_notice);
    ChannelListener(const ChannelListener&) = delete;
    ChannelListener& operator=(const ChannelListener&) = delete;
    ~ChannelListener();

    // Readable when there may be something to take. Throws pqxx::broken_connection if the connection is gone.
    [[nodiscard]] int socket() const;
    // All that has come. Throws what pqxx throws if the connection is lost.
    void take();

private:
    pqxx::connection& connection_;
    std::unique_ptr<libpqxx::ChannelReceiver> receiver_;
};

}  // namespace runledger
