// Bits and ranks chosen against each other.
#include "compress/lowrank/recover_within.h"

#include "compress/allocate/tails.h"
#include "model/exchange/lora.h"
#include "tests/compress/logits.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

// What rounding takes away from rows that are all alike is alike, too: of rank one.
void make_rows_alike(const std::string& name, std::vector<float>& values) {
  if (name.find("up_proj") == name.npos && name.find("q_proj") == name.npos) return;
  for (std::size_t i = 256; i < values.size(); ++i) values[i] = values[i % 256];
}

CalibrationChoice choice() { return {.files = {}, .samples = 12, .length = 48, .seed = 3}; }

void write(const std::filesystem::path& at, const std::vector<AdapterFile>& files) {
  if (!files.front().name.empty()) std::filesystem::create_directories(at);
  for (const AdapterFile& file : files)
    std::ofstream(file.name.empty() ? at : at / file.name, std::ios::binary) << file.bytes;
}

}  // namespace

TEST(Tails, WhatIsOfRankOneIsGoneAfterOne) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 4, .edit = make_rows_alike});
  const Model model = Model::open(source);
  const Format &q4 = format_or_throw("q4_0"), &q8 = format_or_throw("q8_0");
  std::vector<TailItem> items;
  for (std::size_t i = 0; i < model.tensors().size(); ++i) {
    const Role role = model.tensors()[i].role;
    if (role == Role::ffn_up || role == Role::ffn_down) items.push_back({i, {&q4, &q8}});
  }
  const std::vector<dim> ranks = {1, 8, 64, 256};
  for (const char* name : {"rtn", "gptq"}) {
    const Method& method = method_or_throw(name);
    const Tails tails = measure_tails(model, items, ranks, method, Options(method.name, method.options, {}),
                                      calibration_tokens(model, choice()), no_progress());
    EXPECT_EQ(tails.size(), 2u * 4u * 2u) << name;  // roles, stretches, formats
    for (const auto& [key, left] : tails) {
      ASSERT_EQ(left.size(), 4u);
      if (std::get<Role>(key) == Role::ffn_up) {
        EXPECT_LT(left[0], 1e-6) << name;
        continue;
      }
      EXPECT_GT(left[0], 0.5) << name;
      EXPECT_LT(left[1], left[0]);
      EXPECT_LT(left[2], left[1]);
      EXPECT_LT(left[3], 1e-9);  // all that 256 rows can have
    }
  }
  const Method& quip = method_or_throw("quip");
  const std::string fault = error_of([&] {
    measure_tails(model, items, ranks, quip, Options(quip.name, quip.options, {}), calibration_tokens(model, choice()),
                  no_progress());
  });
  EXPECT_NE(fault.find("rounds row by row"), std::string::npos) << fault;
}

TEST(RecoverWithin, RankGoesWhereItSavesMost) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.ffn = 256, .edit = make_rows_alike});
  const Model original = Model::open(source);
  const std::vector<float> said = logits_of(original);
  Recipe recipe;
  recipe.steps = steps_of("rtn", {});
  recipe.calibration = choice();
  recipe.max_bytes = 460'000;  // of 811,008 values: 4.5 bits
  const auto target = temp.path / "base.gguf", adapter = temp.path / "adapter.gguf", merged = temp.path / "merged.gguf";
  const RecoveredWithin found = recover_within(original, recipe, Container::gguf, target, {});
  EXPECT_LT(found.split.predicted, found.split.bits_alone);
  for (dim layer = 0; layer < 2; ++layer) EXPECT_TRUE(found.split.ranks.contains({Role::ffn_up, layer}));
  EXPECT_EQ(found.correction.parts.size(), found.split.ranks.size());
  EXPECT_LT(found.correction.after, 0.5 * found.correction.before);
  write(adapter, adapter_files(Model::open(target), found.correction.parts));
  const auto total = std::filesystem::file_size(target) + std::filesystem::file_size(adapter);
  EXPECT_LE(total, 460'000u);
  EXPECT_GT(total, 460'000u * 95 / 100);
  // Measured, not only predicted.
  Recipe merge;
  merge.format = merge.embed_format = &format_or_throw("f32");
  merge.adapter = adapter;
  run(target, merge, merged);
  run(source, recipe, temp.path / "bits.gguf");
  EXPECT_LT(distance(said, logits_of(Model::open(merged))),
            0.9 * distance(said, logits_of(Model::open(temp.path / "bits.gguf"))));
}

TEST(RecoverWithin, AdaptersOfSeveralRanksGiveTheirProducts) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.hidden = 64, .ffn = 96});
  run(source, recipe_for("q4_0"), temp.path / "m.gguf");
  run(source, recipe_for("int4_g32"), temp.path / "m");
  for (const char* name : {"m.gguf", "m"}) {
    const Model base = Model::open(temp.path / name);
    std::vector<AdapterPart> parts;
    for (const auto& [role, rank] : {std::pair<Role, dim>{Role::attn_k, 2}, {Role::ffn_up, 5}}) {
      const ModelTensor& t = *base.find(role, 1);
      AdapterPart part{std::size_t(&t - base.tensors().data()), rank, {}, {}};
      for (dim i = 0; i < rank * t.weight.cols; ++i) part.a.push_back(float(i % 7) / 8);
      for (dim i = 0; i < rank * t.weight.rows; ++i) part.b.push_back(float(i % 5) / 4);
      parts.push_back(part);
    }
    const auto at = temp.path / (std::string("adapter-") + name);
    write(at, adapter_files(base, parts));
    const LoraAdapter adapter = LoraAdapter::open(at, base);
    for (const AdapterPart& part : parts) {
      std::vector<float> row(64);
      adapter.apply(part.tensor, 3, row.data());
      for (std::size_t c = 0; c < 64; ++c) {
        float expected = 0;
        for (dim k = 0; k < part.rank; ++k)
          expected += part.b[std::size_t(3 * part.rank + k)] * part.a[std::size_t(k) * 64 + c];
        ASSERT_NEAR(row[c], expected, 2e-3 * double(expected) + 1e-6) << name << " " << c;
      }
    }
  }
}

}  // namespace pith::test
