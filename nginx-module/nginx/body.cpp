#include "nginx-module/nginx/body.hpp"

#include <fcntl.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace runledger::edge {

namespace {

// A mirrored or internally redirected request has the buffers of the first; without a body there are none.
[[nodiscard]] const ngx_chain_t* first_link(const ngx_http_request_t& request) noexcept {
    return request.request_body != nullptr ? request.request_body->bufs : nullptr;
}

void take_file(const ngx_buf_t& buffer, HeldEvent& event) {
    if (buffer.file_pos != 0 || ngx_buf_size(&buffer) != static_cast<off_t>(event.body_bytes)) {
        throw std::logic_error("the body's file holds more or less than the body");
    }
    // The descriptor's own reference keeps the file even when nginx has unlinked and closed it.
    event.body_fd = ::fcntl(buffer.file->fd, F_DUPFD_CLOEXEC, 0);
    if (event.body_fd == -1) {
        throw std::system_error(errno, std::generic_category(), "duplicate the body's descriptor");
    }
}

}  // namespace

std::size_t body_size(const ngx_http_request_t& request) noexcept {
    std::size_t bytes = 0;
    for (const ngx_chain_t* link = first_link(request); link != nullptr; link = link->next) {
        bytes += static_cast<std::size_t>(ngx_buf_size(link->buf));
    }
    return bytes;
}

void take_body(const ngx_http_request_t& request, HeldEvent& event) {
    event.body_bytes = body_size(request);
    for (const ngx_chain_t* link = first_link(request); link != nullptr; link = link->next) {
        const ngx_buf_t& buffer = *link->buf;
        if (ngx_buf_in_memory(&buffer)) {
            if (event.body.empty()) {
                event.body.reserve(event.body_bytes);
            }
            event.body.append(view({static_cast<std::size_t>(buffer.last - buffer.pos), buffer.pos}));
        } else if (buffer.in_file != 0) {
            take_file(buffer, event);
        }
    }
}

}  // namespace runledger::edge
