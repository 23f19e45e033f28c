#include "nginx-module/nginx/event_loop.hpp"

#include <stdexcept>

namespace runledger::edge {

WatchedDescriptor::WatchedDescriptor(int descriptor, ngx_log_t* log, void (*call)(void* data) noexcept, void* data)
    : call_{call}, data_{data}, connection_{ngx_get_connection(descriptor, log)} {
    if (connection_ == nullptr) {
        throw std::runtime_error("no connection is free for the courier's eventfd");
    }
    connection_->data = this;
    connection_->log = log;
    ngx_event_t* read = connection_->read;
    read->log = log;
    connection_->write->log = log;
    read->channel = 1;  // As nginx's own channel to the master: worker_shutdown_timeout must not close it.
    read->handler = nginx_callback(+[](ngx_event_t* event) noexcept {
        const auto& watched = *static_cast<WatchedDescriptor*>(static_cast<ngx_connection_t*>(event->data)->data);
        watched.call_(watched.data_);
    });
    if (ngx_add_event(read, NGX_READ_EVENT, 0) != NGX_OK) {
        ngx_free_connection(connection_);
        connection_->fd = static_cast<ngx_socket_t>(-1);
        throw std::runtime_error("the courier's eventfd can't be watched");
    }
}

WatchedDescriptor::~WatchedDescriptor() {
    ngx_event_t* read = connection_->read;
    if (read->posted != 0) {
        ngx_delete_posted_event(read);
    }
    ngx_del_event(read, NGX_READ_EVENT, 0);  // Not NGX_CLOSE_EVENT: the courier closes the descriptor, later.
    ngx_free_connection(connection_);
    connection_->fd = static_cast<ngx_socket_t>(-1);
}

void WatchedDescriptor::call_again() noexcept { ngx_post_event(connection_->read, &ngx_posted_next_events); }

}  // namespace runledger::edge
