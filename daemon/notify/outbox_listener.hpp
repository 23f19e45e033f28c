// Hears when something comes into the outbox, from whichever daemon or tool it comes: LISTEN, on a connection and a
// thread of its own, which wakes the stages that send.
//
// Invariant: a hint and no more. What is not heard, since the connection is lost or a pooler swallows it, is found by
// the stage's own poll.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "daemon/base/wakeup.hpp"
#include "daemon/database/database.hpp"

namespace runledger {

class OutboxListener {
public:
    // `direct_uri` leads past any pooler in transaction mode. `is_told`: whether `outbox` is woken anyway of what this
    // process of the server's commits; called on the listener's thread. All outlive this.
    // `also` is woken by whoever commits; null: nobody is.
    OutboxListener(std::string direct_uri, Wakeup& outbox, std::function<bool(int backend)> is_told = {},
                   Wakeup* also = nullptr);
    ~OutboxListener();  // Ends the thread.
    OutboxListener(const OutboxListener&) = delete;
    OutboxListener& operator=(const OutboxListener&) = delete;

private:
    void run() noexcept;
    void listen();
    void wake_all();

    Database database_;
    Wakeup& outbox_;
    std::function<bool(int backend)> is_told_;
    Wakeup* also_;
    Wakeup stop_;
    std::thread thread_;
};

}  // namespace runledger
