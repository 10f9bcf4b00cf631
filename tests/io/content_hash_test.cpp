#include "io/content_hash.h"

#include <gtest/gtest.h>

#include <string>

namespace pith {
namespace {

std::string hash_of(std::string_view text) {
  ContentHash hash;
  hash.update(std::as_bytes(std::span(text)));
  return hash.hex();
}

// As the program xxh128sum prints them.
TEST(ContentHash, IsXxh3Of128Bits) {
  EXPECT_EQ(hash_of(""), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(hash_of("abc"), "06b05ab6733a618578af5f94892f3950");
  EXPECT_EQ(hash_of(std::string(1000, 'a')), "b01da365eddaa29cb3e7af627147db7c");
}

TEST(ContentHash, PiecesGiveTheHashOfTheWhole) {
  ContentHash hash;
  for (const std::string_view piece : {"a", "", "bc"}) hash.update(std::as_bytes(std::span(piece)));
  EXPECT_EQ(hash.hex(), "06b05ab6733a618578af5f94892f3950");
}

}  // namespace
}  // namespace pith
