// Saved states: plain values one after another, in the byte order of the machine.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include "../common/check.hpp"

namespace actormimic {

class StateWriter {
 public:
  template <typename T>
  void put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T> && !std::is_same_v<T, bool>);
    put_bytes(&value, sizeof value);
  }
  void put_flag(bool value) { put<std::uint8_t>(value ? 1 : 0); }
  void put_bytes(const void* data, std::size_t size) {
    bytes_.append(static_cast<const char*>(data), size);
  }
  void put_string(const std::string& text) {
    put<std::uint64_t>(text.size());
    put_bytes(text.data(), text.size());
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Reads what a StateWriter wrote. Throws std::invalid_argument where the bytes end too early.
// Does not own the bytes.
class StateReader {
 public:
  StateReader(const char* data, std::size_t size) : at_(data), end_(data + size) {}

  template <typename T>
  T get() {
    static_assert(std::is_trivially_copyable_v<T> && !std::is_same_v<T, bool>);
    T value;
    get_bytes(&value, sizeof value);
    return value;
  }
  // A byte other than 0 and 1 in a bool would be undefined behavior.
  bool get_flag() {
    const auto byte = get<std::uint8_t>();
    require(byte <= 1, "the saved state is damaged: ", int{byte}, " is no flag");
    return byte == 1;
  }
  void get_bytes(void* out, std::size_t size) {
    need(size);
    if (size == 0) return;  // memcpy takes no null pointer, which an empty vector's data() may be
    std::memcpy(out, at_, size);
    at_ += size;
  }
  std::string get_string() {
    const auto size = get<std::uint64_t>();
    need(size);
    std::string text(at_, size);
    at_ += size;
    return text;
  }
  bool at_end() const { return at_ == end_; }

 private:
  void need(std::uint64_t size) const {
    require(size <= static_cast<std::uint64_t>(end_ - at_), "the saved state is cut short");
  }

  const char* at_;
  const char* end_;
};

}  // namespace actormimic
