#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "check.hpp"
#include "common/random.hpp"
#include "replay/row_copy.hpp"
#include "replay/stack_format.hpp"

using namespace actormimic;
using namespace actormimic::replay;

namespace {

std::vector<StackFormat> formats() {
  std::vector<StackFormat> all;
  for (const StackType type : {StackType::kUint8, StackType::kFloat16, StackType::kBfloat16})
    for (const bool channels_last : {false, true}) all.push_back({type, channels_last});
  return all;
}

}  // namespace

TEST(simd_equals_its_scalar_twin_bit_for_bit) {
  std::mt19937 random(0);
  for (const StackFormat& format : formats())
    for (const std::size_t stack : {1, 3, 4, 5})
      for (const std::size_t pixels : {1, 15, 16, 17, 41, 127, 128, 129, 1271, 7056}) {
        std::vector<std::uint8_t> frames(stack * pixels);
        for (std::uint8_t& byte : frames) byte = static_cast<std::uint8_t>(random());
        const std::size_t bytes = frames.size() * format.element_bytes();
        std::vector<std::byte> slow(bytes + 10, std::byte{0xA5});
        for (const bool stream : {false, true})
          for (const std::size_t shift :
               {0, 2}) {  // as a batch lies, and where no vector is aligned
            std::vector<std::byte> fast(bytes + 10, std::byte{0xA5});
            std::fill(slow.begin(), slow.end(), std::byte{0xA5});
            format_stack(frames.data(), stack, pixels, format, stream, fast.data() + shift);
            flush_stores();
            format_stack_scalar(frames.data(), stack, pixels, format, slow.data() + shift);
            CHECK(fast == slow);
          }
      }
}

TEST(every_byte_becomes_its_255th_part) {
  std::uint8_t all[256];
  for (int byte = 0; byte < 256; ++byte) all[byte] = static_cast<std::uint8_t>(byte);
  std::uint16_t half[256], brain[256];
  format_stack(all, 1, 256, {StackType::kFloat16, false}, false,
               reinterpret_cast<std::byte*>(half));
  format_stack(all, 1, 256, {StackType::kBfloat16, false}, false,
               reinterpret_cast<std::byte*>(brain));
  CHECK(half[0] == 0 && half[255] == 0x3C00 && half[51] == 0x3266);
  CHECK(brain[0] == 0 && brain[255] == 0x3F80 && brain[51] == 0x3E4D);
  for (int byte = 1; byte < 256; ++byte) CHECK(half[byte] > half[byte - 1]);
}

TEST(bounded_numbers_fill_their_range_evenly) {
  constexpr std::uint64_t kCount = 7, kDraws = 70000;
  std::vector<int> counts(kCount);
  for (std::uint64_t i = 0; i < kDraws; ++i) ++counts[bounded(random_bits(3, i, 0), kCount)];
  // 10,000 expected with a deviation of 93: five of them.
  for (const int count : counts) CHECK(9535 < count && count < 10465);
  CHECK(random_bits(3, 0, 0) != random_bits(4, 0, 0));
  CHECK(random_bits(3, 0, 0) != random_bits(3, 1, 0));
  CHECK(random_bits(3, 0, 0) != random_bits(3, 0, 1));
  CHECK(bounded(~std::uint64_t{0}, kCount) == kCount - 1);
}
