// Memory that a ring lives in: private, POSIX shared or a file's. Owns the mapping, not the name.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace actormimic::replay {

// Where a ring lives: private memory if both are empty, else exactly one of them is given.
struct Location {
  std::string name;  // of a POSIX shared memory segment: letters, digits, '.', '_' and '-'
  std::string path;  // of a file

  // "ring 'name'", "ring file 'path'" or "private ring", for messages.
  std::string label() const;
};

class Mapping {
 public:
  // Makes `bytes` of zeros at `location`, readable and writable by this user alone (mode 0600).
  // Shared memory and files are reserved at once: a full device is std::system_error (ENOSPC) here
  // rather than a bus error later. A name or path that exists is std::system_error (EEXIST).
  static Mapping create(const Location& location, std::size_t bytes);

  // Maps what exists at `location`. std::system_error if there is none or it cannot be opened;
  // std::runtime_error if it belongs to another user.
  static Mapping attach(const Location& location);

  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&&) = delete;
  ~Mapping();

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  Mapping(void* data, std::size_t size) : data_(static_cast<std::byte*>(data)), size_(size) {}

  std::byte* data_;
  std::size_t size_;
};

// Removes the name or the file; mappings that exist live on. std::system_error if there is none.
void remove(const Location& location);

// The names of this machine's shared-memory rings, finished or not, in alphabetical order.
std::vector<std::string> list_names();

}  // namespace actormimic::replay
