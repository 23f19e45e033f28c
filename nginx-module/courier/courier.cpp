#include "nginx-module/courier/courier.hpp"

#include <csignal>
#include <memory>
#include <system_error>
#include <thread>

#include "nginx-module/courier/shared.hpp"
#include "nginx-module/courier/thread.hpp"

namespace runledger::edge {
namespace {

// Blocks all signals while it lives; a thread made meanwhile has them blocked for ever.
class SignalsBlocked {
public:
    SignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        const int error = pthread_sigmask(SIG_SETMASK, &all, &before_);
        if (error != 0) {
            throw std::system_error(error, std::generic_category(), "pthread_sigmask");
        }
    }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;
    ~SignalsBlocked() { (void)pthread_sigmask(SIG_SETMASK, &before_, nullptr); }  // Fails only for a bad argument.

private:
    sigset_t before_{};
};

}  // namespace

HeldEvent::~HeldEvent() { const Fd closed(body_fd); }

void HeldEvent::renew() noexcept {
    constexpr std::size_t kept_bytes_max = 4096;  // Nearly every body; so many are kept that it matters.
    std::string memory;
    if (body.capacity() <= kept_bytes_max) {
        memory = std::move(body);
        memory.clear();
    }
    // Made anew as a whole, so that no member can be forgotten here.
    std::destroy_at(this);
    std::construct_at(this);
    body = std::move(memory);
}

class Courier::Impl {
public:
    explicit Impl(CourierConfig config) : shared_(std::move(config)) {}

    CourierShared shared_;
    std::thread thread_;
};

Courier::Courier(CourierConfig config) : impl_(std::make_shared<Impl>(std::move(config))) {}

Courier::~Courier() { (void)stop(std::chrono::milliseconds{0}); }  // Whether it joined: nobody is left to be told.

void Courier::start() {
    const SignalsBlocked blocked;
    impl_->thread_ = std::thread([impl = impl_] { run_courier(impl->shared_); });
}

SubmitResult Courier::submit(HeldEventPtr event) { return impl_->shared_.submit(std::move(event)); }

int Courier::wake_fd() const noexcept { return impl_->shared_.wake_fd(); }

std::vector<HeldEventPtr> Courier::take_results() { return impl_->shared_.take_results(); }

std::vector<LogLine> Courier::take_log_lines() { return impl_->shared_.log().take(); }

CourierStats Courier::stats() const noexcept { return impl_->shared_.stats(); }

bool Courier::stop(std::chrono::milliseconds patience) {
    if (!impl_->thread_.joinable()) {
        return true;
    }
    // The thread gives up a disk that refuses before we give up the thread, so that it still closes in order.
    impl_->shared_.request_stop(std::chrono::steady_clock::now() + patience * 3 / 4);
    if (impl_->shared_.wait_finished(patience)) {
        impl_->thread_.join();
        return true;
    }
    impl_->thread_.detach();  // It holds a reference to all it uses.
    return false;
}

}  // namespace runledger::edge
