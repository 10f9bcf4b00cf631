#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/error.h"
#include "io/sha256.h"
#include "io/stage.h"
#include "ops/logsumexp.h"
#include "ops/parts.h"
#include "train/teacher.h"

namespace pith {

namespace {

constexpr dim kTokensAtOnce = 1024, kSequencesAtOnce = 64, kRowsAtOnce = 256;

dim token_bytes(dim vocab) { return vocab <= 65536 ? 2 : 4; }

std::string made_of(const std::string& teacher, const TrainingData& data, dim vocab) {
  return sha256_hex(fmt::format("{} {} {}", teacher, data.hash, vocab));
}

struct Files {
  std::string head;
  dim tokens_at = 0, log_p_at = 0, total = 0;
};

Files layout(dim rows, dim k, dim vocab, const std::string& teacher, const std::string& data) {
  const dim log_p_bytes = rows * (k + 1) * dim(sizeof(float)), tokens_bytes = rows * k * token_bytes(vocab);
  const nlohmann::ordered_json header = {
      {"__metadata__", {{"teacher", teacher}, {"data", data}, {"vocab", std::to_string(vocab)}}},
      {"log_p", {{"dtype", "F32"}, {"shape", {rows, k + 1}}, {"data_offsets", {0, log_p_bytes}}}},
      {"tokens",
       {{"dtype", token_bytes(vocab) == 2 ? "U16" : "I32"},
        {"shape", {rows, k}},
        {"data_offsets", {log_p_bytes, log_p_bytes + tokens_bytes}}}}};
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  Files f;
  f.head = std::string(reinterpret_cast<const char*>(&length), sizeof length) + text;
  f.log_p_at = dim(f.head.size());
  f.tokens_at = f.log_p_at + log_p_bytes;
  f.total = f.tokens_at + tokens_bytes;
  return f;
}

// The k likeliest of each row, lower ids first among equals, and what is left.
void likeliest(const float* logits, dim n, dim vocab, dim k, std::vector<Token>& tokens, std::vector<float>& log_p) {
  tokens.resize(std::size_t(n * k));
  log_p.resize(std::size_t(n * (k + 1)));
  parallel_parts(n, grain_of(8 * vocab), [&](dim, dim begin, dim end) {
    std::vector<Token> order(static_cast<std::size_t>(vocab));
    for (dim i = begin; i < end; ++i) {
      const float* z = logits + i * vocab;
      std::iota(order.begin(), order.end(), Token(0));
      std::partial_sort(order.begin(), order.begin() + k, order.end(),
                        [&](Token a, Token b) { return z[a] != z[b] ? z[a] > z[b] : a < b; });
      const float max = scan_row(z, vocab).max;
      const double rest = double(max) + std::log(sum_exp(z, vocab, max));
      for (dim j = 0; j < k; ++j) {
        tokens[std::size_t(i * k + j)] = order[std::size_t(j)];
        log_p[std::size_t(i * (k + 1) + j)] = float(double(z[order[std::size_t(j)]]) - rest);
      }
      double others = 0;
      for (dim j = k; j < vocab; ++j) others += std::exp(double(z[order[std::size_t(j)]]) - rest);
      log_p[std::size_t(i * (k + 1) + k)] = float(std::log(std::max(others, 1e-38)));
    }
  });
}

// Some rows of logits at a time, (n, vocab), with the data's own tokens there, in the data's order.
using RowsSink = std::function<void(const float* logits, std::span<const Token> targets)>;

void each_predicted(const Model& teacher, const TrainingData& data, Progress& progress, const RowsSink& sink) {
  Teacher run(teacher, data.longest(), kSequencesAtOnce);
  progress.begin("teacher", data.tokens());
  for (std::size_t at = 0; at < data.sequences.size();) {
    MicroBatch batch;
    while (at < data.sequences.size() && dim(batch.sources.size()) < kSequencesAtOnce &&
           (batch.sources.empty() || batch.tokens() + dim(data.sequences[at].tokens.size()) <= kTokensAtOnce))
      batch.add(data.sequences[at++]);
    run.read(batch.sequences);
    for (std::size_t i = 0; i < batch.places.size(); i += std::size_t(kRowsAtOnce)) {
      const std::size_t n = std::min(std::size_t(kRowsAtOnce), batch.places.size() - i);
      sink(run.logits(std::span(batch.places).subspan(i, n)), std::span(batch.targets).subspan(i, n));
    }
    progress.advance(batch.tokens());
  }
  progress.end();
}

}  // namespace

double mean_token_probability(const Model& teacher, const TrainingData& data, Progress& progress) {
  const dim vocab = teacher.config().vocab;
  double sum = 0;
  each_predicted(teacher, data, progress, [&](const float* logits, std::span<const Token> targets) {
    std::vector<double> p(targets.size());
    parallel_parts(dim(targets.size()), grain_of(4 * vocab), [&](dim, dim begin, dim end) {
      for (dim i = begin; i < end; ++i) {
        const float* z = logits + i * vocab;
        if (targets[std::size_t(i)] >= vocab) continue;  // a token of the student's alone
        const float max = scan_row(z, vocab).max;
        p[std::size_t(i)] = std::exp(double(z[targets[std::size_t(i)]]) - double(max)) / sum_exp(z, vocab, max);
      }
    });
    sum = std::accumulate(p.begin(), p.end(), sum);
  });
  return sum / double(data.predicted());
}

void TeacherCache::write(const std::filesystem::path& path, const Model& teacher, const TrainingData& data, dim k,
                         Progress& progress) {
  const dim vocab = teacher.config().vocab, rows = data.predicted();
  if (k < 1 || k >= vocab) throw input_error("top-k", "expected 1 to {}, got {}", vocab - 1, k);
  const Files files = layout(rows, k, vocab, teacher.source_stamp(), data.hash);
  Stage stage(path, Stage::Kind::file, "teacher", {.resume = false, .overwrite = true});
  const std::string name = path.filename().string();
  stage.add_file(name, files.total);
  stage.write(name, 0, std::as_bytes(std::span(files.head)));
  dim row = 0;
  std::vector<Token> tokens;
  std::vector<float> log_p;
  each_predicted(teacher, data, progress, [&](const float* logits, std::span<const Token> targets) {
    const auto n = dim(targets.size());
    likeliest(logits, n, vocab, k, tokens, log_p);
    stage.write(name, files.log_p_at + row * (k + 1) * dim(sizeof(float)), std::as_bytes(std::span(log_p)));
    const std::vector<std::uint16_t> narrow(tokens.begin(), tokens.end());
    stage.write(name, files.tokens_at + row * k * token_bytes(vocab),
                token_bytes(vocab) == 2 ? std::as_bytes(std::span(narrow)) : std::as_bytes(std::span(tokens)));
    row += n;
  });
  stage.commit();
}

TeacherCache::TeacherCache(const std::filesystem::path& path, const TrainingData& data, dim vocab, const Model* teacher)
    : file_(SafetensorsSet::open(path)), token_bytes_(pith::token_bytes(vocab)) {
  const std::string where = path.string();
  const auto refuse = [&](const std::string& what) {
    throw Error(Blame::input, where, what, "remove the file to have it made again");
  };
  const auto entry = [&](const char* name) {
    const auto at = file_.metadata().find(name);
    return at == file_.metadata().end() ? std::string() : at->second;
  };
  const SafeTensor *log_p = file_.find("log_p"), *tokens = file_.find("tokens");
  if (!log_p || !tokens) refuse("expected kept teacher logits, found something else");
  if (entry("data") != data.hash) refuse("expected logits of the same data and length, got others");
  if (entry("vocab") != std::to_string(vocab)) refuse(fmt::format("expected a vocabulary of {}, got another", vocab));
  if (teacher && entry("teacher") != teacher->source_stamp()) refuse("expected logits of this teacher, got another's");
  if (log_p->shape.size() != 2 || tokens->shape.size() != 2 || log_p->shape[0] != data.predicted() ||
      tokens->shape[0] != data.predicted() || tokens->shape[1] != log_p->shape[1] - 1 || log_p->dtype != "F32" ||
      tokens->dtype != (token_bytes_ == 2 ? "U16" : "I32") || tokens->shape[1] < 1 || tokens->shape[1] >= vocab)
    refuse("expected log_p and tokens with a row for each predicted token, got others");
  k_ = tokens->shape[1];
  log_p_ = file_.data(*log_p);
  tokens_ = file_.data(*tokens);
  fingerprint_ = made_of(entry("teacher"), data, vocab);
  dim rows = 0;
  for (const TrainingSequence& s : data.sequences) {
    first_row_.push_back(rows);
    rows += s.count();
  }
  std::vector<Token> row_tokens(static_cast<std::size_t>(k_));
  std::vector<float> row_log_p(row_tokens.size() + 1);
  for (dim r = 0; r < rows; ++r) {
    row(r, row_tokens.data(), row_log_p.data());
    for (std::size_t j = 0; j < row_tokens.size(); ++j)
      if (row_tokens[j] < 0 || row_tokens[j] >= vocab || !(row_log_p[j] <= 1e-4f && row_log_p[j] > -1e4f) ||
          !(row_log_p.back() <= 1e-4f && row_log_p.back() > -1e4f))
        refuse(fmt::format("expected tokens of the vocabulary with log-probabilities, got others in row {}", r));
  }
}

void TeacherCache::row(dim r, Token* tokens, float* log_p) const {
  const auto width = std::size_t(k_ + 1) * sizeof(float);
  std::memcpy(log_p, log_p_ + std::size_t(r) * width, width);
  for (dim j = 0; j < k_; ++j) {
    const std::byte* at = tokens_ + (r * k_ + j) * token_bytes_;
    std::uint16_t narrow = 0;
    std::memcpy(token_bytes_ == 2 ? static_cast<void*>(&narrow) : tokens + j, at, std::size_t(token_bytes_));
    if (token_bytes_ == 2) tokens[j] = narrow;
  }
}

}  // namespace pith
