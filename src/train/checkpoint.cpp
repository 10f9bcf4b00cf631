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
  const char* dtype;  // F32, U8 or I32
  dim rows, cols;
  std::byte* data;
  dim size_bytes() const { return rows * cols * (*dtype == 'U' ? 1 : 4); }
};

void add_parameter(std::vector<Piece>& pieces, const std::string& name, Parameter& p) {
  Moments& m = p.moments;
  const char* dtype = m.eight_bits() ? "U8" : "F32";
  pieces.push_back({name + ".values", "F32", p.rows, p.cols, p.values.data()});
  pieces.push_back({name + ".mean", dtype, p.rows, p.cols, m.mean.data()});
  if (m.square.size_bytes() > 0) pieces.push_back({name + ".square", dtype, p.rows, p.cols, m.square.data()});
  if (!m.eight_bits()) return;
  pieces.push_back({name + ".mean_scale", "F32", 1, m.blocks(), m.mean_scale.data()});
  pieces.push_back({name + ".square_scale", "F32", 1, m.blocks(), m.square_scale.data()});
}

std::vector<Piece> pieces_of(const RunState& state) {
  std::vector<Piece> pieces;
  for (std::size_t i = 0; i < state.trained.size(); ++i) add_parameter(pieces, std::to_string(i), state.trained[i]);
  for (std::size_t i = 0; i < state.objectives.size(); ++i)
    add_parameter(pieces, fmt::format("objective.{}", i), state.objectives[i]);
  return pieces;
}

// Kept texts as two rows: their tokens one after another; and of each its length and its first predicted token.
struct TextPieces {
  std::vector<Token> tokens, shapes;
  explicit TextPieces(const std::deque<TrainingSequence>& texts) {
    for (const TrainingSequence& s : texts) {
      tokens.insert(tokens.end(), s.tokens.begin(), s.tokens.end());
      shapes.push_back(Token(s.tokens.size()));
      shapes.push_back(Token(std::find(s.predicted.begin(), s.predicted.end(), 1) - s.predicted.begin()));
    }
  }
  void add(std::vector<Piece>& pieces) {
    const auto piece = [&](const char* name, std::vector<Token>& values) {
      static_assert(sizeof(Token) == 4);
      if (!values.empty())
        pieces.push_back({name, "I32", 1, dim(values.size()), std::as_writable_bytes(std::span(values)).data()});
    };
    piece("own.tokens", tokens);
    piece("own.shapes", shapes);
  }
};

std::vector<Token> tokens_in(const SafetensorsSet& set, const char* name, const std::string& where) {
  const SafeTensor* t = set.find(name);
  if (!t) return {};
  if (t->dtype != "I32") throw input_error(where, "expected {} as I32, got {}", name, t->dtype);
  std::vector<Token> values(std::size_t(t->size_bytes) / sizeof(Token));
  std::memcpy(values.data(), set.data(*t), values.size() * sizeof(Token));
  return values;
}

std::deque<TrainingSequence> texts_in(const SafetensorsSet& set, dim vocab, const std::string& where) {
  const std::vector<Token> tokens = tokens_in(set, "own.tokens", where), shapes = tokens_in(set, "own.shapes", where);
  std::deque<TrainingSequence> texts;
  std::size_t at = 0;
  for (std::size_t i = 0; i + 1 < shapes.size(); i += 2) {
    const auto length = std::size_t(shapes[i]), first = std::size_t(shapes[i + 1]);
    if (shapes[i] < 1 || shapes[i + 1] < 0 || first > length || length > tokens.size() - at)
      throw input_error(where, "expected kept texts of the lengths given, got others");
    TrainingSequence& s = texts.emplace_back();
    s.tokens.assign(tokens.begin() + std::ptrdiff_t(at), tokens.begin() + std::ptrdiff_t(at + length));
    s.predicted.assign(length, 1);
    std::fill_n(s.predicted.begin(), first, 0);
    at += length;
  }
  for (const Token t : tokens)
    if (t < 0 || t >= vocab || at != tokens.size())
      throw input_error(where, "expected kept texts of the model's tokens, got others");
  return texts;
}

Json steps_json(const std::vector<TrainStep>& steps) {
  Json all = Json::array();
  for (const TrainStep& s : steps) {
    all.push_back({s.number, s.loss, s.gradient_norm, s.rate, s.tokens, s.own});
    if (s.validation) all.back().push_back(*s.validation);
  }
  return all;
}

std::vector<TrainStep> steps_of(const std::string& text, const std::string& where) {
  const nlohmann::json all = parse_json(text, where);
  std::vector<TrainStep> steps;
  for (const auto& s : all.is_array() ? all : nlohmann::json::array()) {
    const bool known = s.is_array() && (s.size() == 6 || s.size() == 7) && s[0].is_number_integer() &&
                       s[1].is_number() && s[2].is_number() && s[3].is_number() && s[4].is_number_integer() &&
                       s[5].is_boolean() && (s.size() == 6 || s[6].is_number());
    if (!known || s[0].get<dim>() != dim(steps.size()) + 1)
      throw input_error(where, "expected steps 1, 2, ..., got others");
    steps.push_back({s[0], s[1], s[2], s[3], s[4], s[5]});
    if (s.size() == 7) steps.back().validation = s[6].get<double>();
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
    const dim end = offset + p.size_bytes();
    header[p.name] = {{"dtype", p.dtype}, {"shape", {p.rows, p.cols}}, {"data_offsets", {offset, end}}};
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
                    {"lora", {o.choice.rank, o.choice.alpha, o.choice.seed, roles, o.choice.dora}},
                    {"bf16", o.choice.bf16},
                    {"keep_zeros", o.keep_zeros},
                    {"adamw", {o.adamw.beta1, o.adamw.beta2, o.adamw.eps, o.adamw.decay}},
                    {"rate", {schedule_name(o.schedule), o.rate, o.floor, o.warmup, o.clip}},
                    {"steps", {planned, o.batch, o.micro_tokens}},
                    {"rollout",
                     {o.rollout.share, o.rollout.new_tokens, o.rollout.temperature, o.rollout.teacher_mix,
                      o.rollout.adaptive, o.rollout.rise, o.rollout.replay}},
                    {"validation", {o.validation ? o.validation->hash : std::string(), o.validate_every}},
                    {"optimizer", optimizer_name(o.choice.optimizer)},
                    {"made", o.made},
                    {"rounded", {rounded, o.choice.activations.text()}},
                    {"seed", o.seed},
                    {"version", PITH_VERSION}};
  return sha256_hex(all.dump());
}

void save_checkpoint(const std::filesystem::path& path, const std::string& fingerprint,
                     const std::vector<TrainStep>& steps, const RunState& state) {
  std::vector<Piece> pieces = pieces_of(state);
  TextPieces texts(state.own.kept());
  texts.add(pieces);
  // Wider values first: the format allows no padding.
  std::stable_sort(pieces.begin(), pieces.end(),
                   [](const Piece& a, const Piece& b) { return (*a.dtype == 'U') < (*b.dtype == 'U'); });
  const std::string head = header_of(pieces, {{"fingerprint", fingerprint}, {"steps", steps_json(steps).dump()}});
  dim total = dim(head.size());
  for (const Piece& p : pieces) total += p.size_bytes();
  Stage stage(path, Stage::Kind::file, fingerprint, {.resume = false, .overwrite = true});
  const std::string name = path.filename().string();
  stage.add_file(name, total);
  stage.write(name, 0, std::as_bytes(std::span(head)));
  dim offset = dim(head.size());
  for (const Piece& p : pieces) {
    stage.write(name, offset, {p.data, std::size_t(p.size_bytes())});
    offset += p.size_bytes();
  }
  stage.commit();
}

std::vector<TrainStep> load_checkpoint(const std::filesystem::path& path, const std::string& fingerprint,
                                       const RunState& state, dim vocab) {
  const std::string where = path.string();
  const SafetensorsSet set = SafetensorsSet::open(path);
  if (entry(set, "fingerprint", where) != fingerprint)
    throw Error(Blame::input, where, "expected a checkpoint of this run, got one of other data, options or model",
                "name the options it was made with, or start anew without --resume");
  std::vector<TrainStep> steps = steps_of(entry(set, "steps", where), where);
  for (const Piece& p : pieces_of(state)) {
    const SafeTensor* t = set.find(p.name);
    if (!t || t->dtype != p.dtype || t->shape != std::vector<dim>{p.rows, p.cols})
      throw input_error(where, "expected {} as {} of ({}, {}), got another or none", p.name, p.dtype, p.rows, p.cols);
    std::memcpy(p.data, set.data(*t), std::size_t(t->size_bytes));
    if (*p.dtype == 'F' && !all_finite(reinterpret_cast<const float*>(p.data), p.rows * p.cols))
      throw input_error(where, "expected finite values in {}, got others", p.name);
  }
  state.own.restore(texts_in(set, vocab, where));
  return steps;
}

}  // namespace pith
