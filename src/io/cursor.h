// Reading little-endian numbers out of untrusted bytes: every step is checked against what remains.
#pragma once
#include <bit>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "core/base.h"
#include "core/error.h"

namespace pith {

static_assert(std::endian::native == std::endian::little, "the file formats are read in place");

class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {}
  dim position() const { return position_; }
  dim remaining() const { return dim(bytes_.size()) - position_; }
  const std::string& where() const { return where_; }

  // `what` names the thing read in the message of the Error.
  template <class T>
  T number(std::string_view what) {
    T value;
    std::memcpy(&value, take(sizeof(T), what), sizeof(T));
    return value;
  }
  std::string_view text(std::uint64_t size_bytes, std::string_view what) {
    return {reinterpret_cast<const char*>(take(size_bytes, what)), std::size_t(size_bytes)};
  }
  const std::byte* take(std::uint64_t size_bytes, std::string_view what) {
    require(size_bytes, 1, what);
    const std::byte* at = bytes_.data() + position_;
    position_ += dim(size_bytes);
    return at;
  }
  // That `count` things of at least `each_bytes` may still follow; asked before allocating room for them.
  void require(std::uint64_t count, dim each_bytes, std::string_view what) const {
    if (count > std::uint64_t(remaining() / each_bytes))
      throw input_error(where_, "truncated: expected {} x {} bytes of {} at byte {}, {} bytes remain", count,
                        each_bytes, what, position_, remaining());
  }

 private:
  std::span<const std::byte> bytes_;
  std::string where_;
  dim position_ = 0;
};

}  // namespace pith
