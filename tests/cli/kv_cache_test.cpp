// --kv on the verbs that run a model.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/shared_data.h"
// after shared_data.h, whose read_file it uses
#include "tests/cli/run_pith.h"

namespace pith::test {
namespace {

using nlohmann::json;

std::string quoted(const std::filesystem::path& path) { return shell_quote(path.string()); }

TEST(KvCacheOption, EvalMeasuresTheCodecAgainstTheFullCache) {
  PITH_NEED_DATA(text, "text/tinystories_30k.txt");
  PITH_NEED_DATA(model, "models/stories260K/hf");
  const auto eval = [&](const std::string& spec) {
    const Ran ran = run_pith("eval " + quoted(model) + " --against " + quoted(model) + " --text " + quoted(text) +
                             " --protocol stories-256 --windows 4 --json --kv " + spec);
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    return json::parse(ran.out).at(0);
  };
  const auto kl = [](const json& result) { return result.at("divergence").at("kl").at("mean").get<double>(); };
  const json full = eval("f32"), eight = eval("int8"), kivi = eval("kivi:bits=4,residual=32"), four = eval("int4"),
             two = eval("int4:bits=2,group=32");
  EXPECT_EQ(kl(full), 0);
  EXPECT_GT(kl(eight), 0);
  EXPECT_LT(kl(eight), 0.01);
  EXPECT_GT(kl(four), 50 * kl(eight));
  EXPECT_GT(kl(kivi), 0);
  EXPECT_LT(kl(kivi), 0.02);
  EXPECT_LT(kl(kivi) * 10, kl(four));  // this model's keys have channels of outliers
  EXPECT_GT(kl(two), 3 * kl(four));
  EXPECT_EQ(full.at("model").at("kv").at("codec"), "f32");
  EXPECT_EQ(eight.at("model").at("kv").at("bits_per_value"), 10.0);  // heads of 8: 8 codes and a float16
  EXPECT_EQ(eight.at("base").at("kv").at("codec"), "f32");
  EXPECT_EQ(kivi.at("model").at("kv").at("codec"), "kivi:bits=4,residual=32");
}

TEST(KvCacheOption, GenerateAndInspectUseIt) {
  PITH_NEED_DATA(model, "models/stories260K/hf");
  const auto generate = [&](const std::string& spec) {
    const Ran ran = run_pith("generate " + quoted(model) + " 'Once upon a time' -n 60 --json --kv " + spec);
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    return json::parse(ran.out);
  };
  const json full = generate("f32"), half = generate("f16"), small = generate("int8");
  EXPECT_EQ(half.at("text"), full.at("text"));
  EXPECT_EQ(half.at("kv_bytes").get<int>() * 2, full.at("kv_bytes").get<int>());
  EXPECT_EQ(small.at("kv"), "int8");
  EXPECT_EQ(small.at("kv_bytes").get<int>() * 32, full.at("kv_bytes").get<int>() * 10);
  const auto per_token = [&](const std::string& spec) {
    return json::parse(run_pith("inspect " + quoted(model) + " --json --kv " + spec).out).at("kv_bytes_per_token");
  };
  EXPECT_EQ(per_token("f32"), 5 * 2 * 4 * 8 * 4);  // layers, sides, heads, head_dim, bytes
  EXPECT_EQ(per_token("f16"), 5 * 2 * 4 * 8 * 2);
  EXPECT_EQ(per_token("int8"), 5 * 2 * 4 * 10);
}

TEST(KvCacheOption, BadSpecsAreRefusedBeforeAnyWork) {
  for (const std::string verb :
       {"eval /no/such/model --text /no/such/text ", "generate /no/such/model hello ", "inspect /no/such/model "})
    for (const std::string spec : {"int5", "int4:group=7", "kivi:bits", "kivi:group=128,residual=64"}) {
      const Ran ran = run_pith(verb + "--kv " + spec);
      EXPECT_EQ(ran.exit_code, 1) << verb << spec;
      EXPECT_NE(ran.err.find("kv"), std::string::npos) << ran.err;
      EXPECT_EQ(ran.err.find("/no/such"), std::string::npos) << ran.err;
    }
  EXPECT_NE(run_pith("generate /no/such/model hello --kv int5").err.find("rotated-int4"), std::string::npos);
}

TEST(KvCacheOption, MethodsListsTheCodecs) {
  const json methods = json::parse(run_pith("methods --json").out);
  std::map<std::string, double> bits;
  for (const auto& method : methods)
    if (method.at("family") == "kv cache") bits[method.at("name")] = method.at("bits_per_value");
  EXPECT_EQ(bits.at("f16"), 16);
  EXPECT_EQ(bits.at("int8"), 8.125);  // heads of 128
  EXPECT_EQ(bits.at("int4"), 4.5);
  EXPECT_EQ(bits.at("kivi"), 5);
  EXPECT_NE(run_pith("methods").out.find("kivi (kv cache)"), std::string::npos);
}

}  // namespace
}  // namespace pith::test
