// Little-endian bytes, put together by hand.
#pragma once
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "io/mapped_file.h"

namespace pith::test {

template <class T>
std::string le(T v) {
  std::string s(sizeof(T), '\0');
  std::memcpy(s.data(), &v, sizeof(T));
  return s;
}
inline std::string u8(std::uint8_t v) { return le(v); }
inline std::string u16(std::uint16_t v) { return le(v); }
inline std::string u32(std::uint32_t v) { return le(v); }
inline std::string u64(std::uint64_t v) { return le(v); }
inline std::string i32(std::int32_t v) { return le(v); }
inline std::string f32(float v) { return le(v); }
inline std::string zeros(std::size_t n) { return std::string(n, '\0'); }

inline MappedFile in_memory(std::string_view bytes) { return MappedFile::of_bytes(std::as_bytes(std::span(bytes))); }

// The message of the Error(input) that the body throws; empty (and a test failure) when it throws none.
inline std::string message_of(const std::function<void()>& body, Blame blame = Blame::input) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(e.blame(), blame) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "no Error was thrown";
  return {};
}

struct Malformed {
  const char* what;
  std::string bytes;
  const char* expected;  // words of the message
};

}  // namespace pith::test
