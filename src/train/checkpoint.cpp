#include "train/checkpoint.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "formats/format.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "io/sha256.h"
#include "io/stage.h"
#include "kernels/rows.h"

namespace pith {

namespace {

using Json = nlohmann::ordered_json;

struct Piece {
  std::string name;
  dim rows, cols;
  const Buffer* data;
};

std::vector<Piece> pieces_of(const Trainable& trainable) {
  std::vector<Piece> pieces;
  for (std::size_t i = 0; i < trainable.parameters().size(); ++i) {
    const Parameter& p = trainable.parameters()[i];
    pieces.push_back({fmt::format("{}.values", i), p.rows, p.cols, &p.values});
    pieces.push_back({fmt::format("{}.mean", i), p.rows, p.cols, &p.mean});
    pieces.push_back({fmt::format("{}.square", i), p.rows, p.cols, &p.square});
  }
  return pieces;
}

Json steps_json(const std::vector<TrainStep>& steps) {
  Json all = Json::array();
  for (const TrainStep& s : steps) all.push_back({s.number, s.loss, s.gradient_norm, s.rate, s.tokens, s.own});
  return all;
}

std::vector<TrainStep> steps_of(const std::string& text, const std::string& where) {
  const nlohmann::json all = parse_json(text, where);
  std::vector<TrainStep> steps;
  for (const auto& s : all.is_array() ? all : nlohmann::json::array()) {
    const bool known = s.is_array() && s.size() == 6 && s[0].is_number_integer() && s[1].is_number() &&
                       s[2].is_number() && s[3].is_number() && s[4].is_number_integer() && s[5].is_boolean();
    if (!known || s[0].get<dim>() != dim(steps.size()) + 1)
      throw input_error(where, "expected steps 1, 2, ..., got others");
    steps.push_back({s[0], s[1], s[2], s[3], s[4], s[5]});
  }
  return steps;
}

const std::string& entry(const SafetensorsSet& set, const char* name, const std::string& where) {
  const auto at = set.metadata().find(name);
  if (at == set.metadata().end()) throw input_error(where, "expected a training checkpoint, found no {}", name);
  return at->second;
}

// A safetensors header by itself: its metadata and the pieces one after another.
std::string header_of(const std::vector<Piece>& pieces, const Json& metadata) {
  Json header = {{"__metadata__", metadata}};
  dim offset = 0;
  for (const Piece& p : pieces) {
    const dim end = offset + p.rows * p.cols * dim(sizeof(float));
    header[p.name] = {{"dtype", "F32"}, {"shape", {p.rows, p.cols}}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text;
}

}  // namespace

std::string run_fingerprint(const Model& model, const TrainingData& data, const Objective& objective,
                            const TrainOptions& o, dim planned) {
  Json roles = Json::array();
  for (const Role r : o.choice.roles) roles.push_back(role_name(r));
  Json rounded = Json::array();
  for (const Format* f : o.choice.rounded) rounded.push_back(f ? std::string(f->name) : std::string());
  const Json all = {{"model", model.source_stamp()},
                    {"data", data.hash},
                    {"objective", {objective.describe(), objective.identity()}},
                    {"what", int(o.choice.what)},
                    {"lora", {o.choice.rank, o.choice.alpha, o.choice.seed, roles}},
                    {"bf16", o.choice.bf16},
                    {"keep_zeros", o.keep_zeros},
                    {"adamw", {o.adamw.beta1, o.adamw.beta2, o.adamw.eps, o.adamw.decay}},
                    {"rate", {schedule_name(o.schedule), o.rate, o.floor, o.warmup, o.clip}},
                    {"steps", {planned, o.batch, o.micro_tokens}},
                    {"rollout", {o.rollout.share, o.rollout.new_tokens, o.rollout.temperature}},
                    {"made", o.made},
                    {"rounded", {rounded, o.choice.activations.text()}},
                    {"seed", o.seed},
                    {"version", PITH_VERSION}};
  return sha256_hex(all.dump());
}

void save_checkpoint(const std::filesystem::path& path, const std::string& fingerprint,
                     const std::vector<TrainStep>& steps, const Trainable& trainable) {
  const std::vector<Piece> pieces = pieces_of(trainable);
  const std::string head = header_of(pieces, {{"fingerprint", fingerprint}, {"steps", steps_json(steps).dump()}});
  dim total = dim(head.size());
  for (const Piece& p : pieces) total += p.rows * p.cols * dim(sizeof(float));
  Stage stage(path, Stage::Kind::file, fingerprint, {.resume = false, .overwrite = true});
  const std::string name = path.filename().string();
  stage.add_file(name, total);
  stage.write(name, 0, std::as_bytes(std::span(head)));
  dim offset = dim(head.size());
  for (const Piece& p : pieces) {
    const dim bytes = p.rows * p.cols * dim(sizeof(float));
    stage.write(name, offset, {p.data->data(), std::size_t(bytes)});
    offset += bytes;
  }
  stage.commit();
}

std::vector<TrainStep> load_checkpoint(const std::filesystem::path& path, const std::string& fingerprint,
                                       Trainable& trainable) {
  const std::string where = path.string();
  const SafetensorsSet set = SafetensorsSet::open(path);
  if (entry(set, "fingerprint", where) != fingerprint)
    throw Error(Blame::input, where, "expected a checkpoint of this run, got one of other data, options or model",
                "name the options it was made with, or start anew without --resume");
  std::vector<TrainStep> steps = steps_of(entry(set, "steps", where), where);
  for (const Piece& p : pieces_of(trainable)) {
    const SafeTensor* t = set.find(p.name);
    if (!t || t->dtype != "F32" || t->shape != std::vector<dim>{p.rows, p.cols})
      throw input_error(where, "expected {} as F32 of ({}, {}), got another or none", p.name, p.rows, p.cols);
    auto* to = const_cast<Buffer*>(p.data)->as<float>();
    std::memcpy(to, set.data(*t), std::size_t(t->size_bytes));
    if (!all_finite(to, p.rows * p.cols)) throw input_error(where, "expected finite values in {}, got others", p.name);
  }
  return steps;
}

}  // namespace pith
