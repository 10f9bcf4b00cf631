#include "core/options.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace pith {
namespace {

const std::vector<OptionSpec> kSpecs = {{"range", "best", "how the scale is found", {"best", "minmax"}},
                                        {"p", "2.4", "the exponent", {}, 1, 4}};

std::string message_of(const std::vector<std::string>& given) {
  try {
    Options("rtn", kSpecs, given);
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Options, DefaultsAndGivenValues) {
  const Options options("rtn", kSpecs, {"p=3"});
  EXPECT_EQ(options.text("range"), "best");
  EXPECT_EQ(options.number("p"), 3.0);
}

TEST(Options, RefusalsNameWhatIsAllowed) {
  EXPECT_EQ(message_of({"range=wide"}), "[rtn] option range: expected one of best, minmax, got 'wide'");
  EXPECT_EQ(message_of({"p=9"}), "[rtn] option p: expected a number from 1 to 4, got '9'");
  EXPECT_EQ(message_of({"p=2x"}), "[rtn] option p: expected a number from 1 to 4, got '2x'");
  EXPECT_EQ(message_of({"p=nan"}), "[rtn] option p: expected a number from 1 to 4, got 'nan'");
  EXPECT_EQ(message_of({"q=1"}), "[rtn] expected an option as name=value with a name of {range, p}, got 'q=1'");
  EXPECT_EQ(message_of({"range"}), "[rtn] expected an option as name=value with a name of {range, p}, got 'range'");
}

}  // namespace
}  // namespace pith
