#include "nginx-module/nginx/peek.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace runledger::edge {
namespace {

// A page that can be read, and behind it one that cannot.
class Peek : public ::testing::Test {
protected:
    Peek()
        : page_{static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))},
          pages_{static_cast<unsigned char*>(
              ::mmap(nullptr, 2 * page_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))} {
        std::memset(pages_, 7, page_);
        EXPECT_EQ(::mprotect(pages_ + page_, page_, PROT_NONE), 0);
    }
    ~Peek() override { ::munmap(pages_, 2 * page_); }

    // The last `bytes` that can be read.
    [[nodiscard]] const unsigned char* before_the_end(std::size_t bytes) const { return pages_ + page_ - bytes; }

private:
    std::size_t page_;
    unsigned char* pages_;
};

TEST_F(Peek, CopiesWhatIsThere) {
    std::array<unsigned char, 16> copy{};

    EXPECT_TRUE(copy_if_readable(copy.data(), before_the_end(copy.size()), copy.size()));
    EXPECT_EQ(copy.back(), 7);
}

TEST_F(Peek, RefusesWhatIsThereInPartOrNotAtAll) {
    std::array<unsigned char, 16> copy{};

    EXPECT_FALSE(copy_if_readable(copy.data(), before_the_end(15), copy.size()));
    EXPECT_FALSE(copy_if_readable(copy.data(), nullptr, copy.size()));
    EXPECT_EQ(peek(reinterpret_cast<const std::uint64_t*>(std::uintptr_t{0x7777'7777'7777'0000})), std::nullopt);
}

}  // namespace
}  // namespace runledger::edge
