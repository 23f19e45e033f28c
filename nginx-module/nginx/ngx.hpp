// nginx's C headers, included once and as C, and the few things every callback of ours needs around them.
//
// Invariant: no exception passes through nginx's frames. Every function that nginx calls is handed to it through
// nginx_callback(), which takes noexcept ones only, and does its work inside guarded(). Event-loop thread only, as is
// everything that includes this header.
#pragma once

extern "C" {
#include <ngx_config.h>
//
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

extern ngx_module_t ngx_http_runledger_module;
}

#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace runledger::edge {

// Writes one line, "runledger: …", without the request context that nginx adds to a connection's log: that quotes
// the request line, and with it the token in the query string. A line is cut at 1,900 bytes.
void log_line(const ngx_log_t* log, ngx_uint_t level, std::string_view text) noexcept;

// As log_line(), with the client's address; for what is said about one request.
void log_line(const ngx_http_request_t& request, ngx_uint_t level, std::string_view text) noexcept;

// A function of ours as nginx takes it. One that is not noexcept does not compile: an exception through nginx's frames
// would end the worker and every request in it. A lambda needs a + before it.
template <class Result, class... Args>
[[nodiscard]] constexpr auto nginx_callback(Result (*function)(Args...) noexcept) noexcept -> Result (*)(Args...) {
    return function;
}

// A content handler, or one of a phase.
using RequestHandler = ngx_int_t (*)(ngx_http_request_t*) noexcept;

// What guarded() does with an exception: an alert, since it is a bug of ours, or a crit when memory ran out.
void log_escaped_exception(const ngx_log_t* log, const char* what) noexcept;

// The one gate between nginx's frames and ours: runs `fn` and returns its result, or `otherwise` if it throws.
// `what` says in the log what was being done.
template <class Fn>
[[nodiscard]] std::invoke_result_t<Fn> guarded(const ngx_log_t* log, const char* what, Fn&& fn,
                                               std::type_identity_t<std::invoke_result_t<Fn>> otherwise) noexcept {
    try {
        return std::forward<Fn>(fn)();
    } catch (...) {  // Whatever it is, nginx's frames must not see it.
        log_escaped_exception(log, what);
        return otherwise;
    }
}

// For work without a result: says whether it ran to its end.
template <class Fn>
bool guarded_run(const ngx_log_t* log, const char* what, Fn&& fn) noexcept {
    return guarded(
        log, what,
        [&fn] {
            std::forward<Fn>(fn)();
            return true;
        },
        false);
}

[[nodiscard]] inline std::string_view view(const ngx_str_t& text) noexcept {
    // NOLINTNEXTLINE: nginx's characters are unsigned, ours are not; the bytes are the same.
    return {reinterpret_cast<const char*>(text.data), text.len};
}

// Borrows the characters; nginx's strings are not const, but what we hand out this way is never written to.
[[nodiscard]] inline ngx_str_t borrow(std::string_view text) noexcept {
    return {text.size(), reinterpret_cast<u_char*>(const_cast<char*>(text.data()))};
}

// A copy that lives as long as the pool. Throws std::bad_alloc.
[[nodiscard]] std::string_view copy_to_pool(ngx_pool_t& pool, std::string_view text);

// Adds a header to the answer. Neither text is copied: both must be constants. Throws std::bad_alloc.
void add_header(ngx_http_request_t& request, std::string_view name, std::string_view value);

template <class T>
void destroy_in_pool(void* object) noexcept {
    static_cast<T*>(object)->~T();
}

// Makes a T that lives as long as the pool and is destroyed with it. Throws std::bad_alloc. Bind it to `auto&`: of a
// const reference, GCC 14 warns that it is to an argument.
template <class T, class... Args>
[[nodiscard]] T& make_in_pool(ngx_pool_t& pool, Args&&... args) {
    ngx_pool_cleanup_t* cleanup = ngx_pool_cleanup_add(&pool, sizeof(T));
    if (cleanup == nullptr) {
        throw std::bad_alloc{};
    }
    // The handler is set only after the constructor has succeeded: a failed one leaves nothing to destroy.
    T* object = new (cleanup->data) T(std::forward<Args>(args)...);
    cleanup->handler = nginx_callback(destroy_in_pool<T>);
    return *object;
}

// The newest of those that make_in_pool<T>() made in this pool and that `is_wanted`; nullptr if there is none.
template <class T, class Predicate>
[[nodiscard]] T* find_in_pool(const ngx_pool_t& pool, Predicate&& is_wanted) noexcept {
    for (const ngx_pool_cleanup_t* cleanup = pool.cleanup; cleanup != nullptr; cleanup = cleanup->next) {
        if (cleanup->handler == nginx_callback(destroy_in_pool<T>) &&
            is_wanted(*static_cast<const T*>(cleanup->data))) {
            return static_cast<T*>(cleanup->data);
        }
    }
    return nullptr;
}

// For what lives no longer than the pool and grows little: memory is given back with the pool only.
template <class T>
class PoolAllocator {
public:
    using value_type = T;

    explicit PoolAllocator(ngx_pool_t& pool) noexcept : pool_{&pool} {}

    [[nodiscard]] T* allocate(std::size_t count) {
        static_assert(alignof(T) <= NGX_ALIGNMENT);
        void* memory = count <= max_size() ? ngx_palloc(pool_, count * sizeof(T)) : nullptr;
        if (memory == nullptr) {
            throw std::bad_alloc{};
        }
        return static_cast<T*>(memory);
    }
    void deallocate(T*, std::size_t) noexcept {}
    [[nodiscard]] static constexpr std::size_t max_size() noexcept { return SIZE_MAX / sizeof(T); }

    friend bool operator==(const PoolAllocator&, const PoolAllocator&) noexcept = default;

private:
    ngx_pool_t* pool_;
};

}  // namespace runledger::edge
