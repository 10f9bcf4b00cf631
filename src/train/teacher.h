// A model whose distributions another learns: run beside it on the same sequences, or kept as its likeliest tokens.
#pragma once
#include <filesystem>
#include <memory>

#include "core/progress.h"
#include "io/safetensors.h"
#include "train/objective.h"

namespace pith {

class Teacher {
 public:
  // Views the model. As BlockForward.
  Teacher(const Network& network, dim max_length, dim sequences);
  Teacher(const Model& model, dim max_length, dim sequences) : Teacher(Network::of(model), max_length, sequences) {}
  ~Teacher();
  // keep: blocks, after which the residual stream is kept for `hidden`; heads: blocks whose queries, keys and values
  // are kept for `heads`.
  void read(std::span<const std::vector<Token>> sequences, std::span<const dim> keep = {},
            std::span<const dim> heads = {});
  // Of heads[kept], without gradients.
  HeadRows heads(std::size_t kept) const;
  // The same as they are multiplied; valid until the next call for this block.
  ScoreRows scores(std::size_t kept);
  const float* hidden(std::size_t kept) const;  // of keep[kept]: (tokens, hidden)
  // Of what was read, at places as TokenLoss counts them: (n, vocab), valid until the next call
  // and the caller's to overwrite.
  float* logits(std::span<const dim> places);
  const Network& network() const;
  dim vocab() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Error(input) unless ids mean the same to both, as far as both have them.
void check_same_vocabulary(const Model& student, const Model& teacher);

// Mean over the data's predicted tokens of the teacher's probability for them: gamma of CAKLD as its paper takes it
// (BitDistiller, arXiv:2402.10631).
double mean_token_probability(const Model& teacher, const TrainingData& data, Progress& progress = no_progress());

// A teacher's likeliest tokens at every predicted place of some data, as a safetensors file: for each place k tokens of
// 2 bytes (4, where the vocabulary is larger than 65536), their log-probabilities of 4, and that of all others
// together.
class TeacherCache {
 public:
  // Runs the teacher over the data; Error(input) where k is not from 1 to what the vocabulary leaves.
  static void write(const std::filesystem::path& path, const Model& teacher, const TrainingData& data, dim k,
                    Progress& progress = no_progress());
  // Error(input) when it is damaged or was made for other data or another vocabulary; `teacher` null: any teacher.
  TeacherCache(const std::filesystem::path& path, const TrainingData& data, dim vocab, const Model* teacher);

  dim k() const { return k_; }
  dim bytes_per_token() const { return k_ * (token_bytes_ + dim(sizeof(float))) + dim(sizeof(float)); }
  const std::string& fingerprint() const { return fingerprint_; }
  // Of the data's sequence, its first predicted place.
  dim first_row(std::size_t sequence) const { return first_row_[sequence]; }
  void row(dim row, Token* tokens, float* log_p) const;  // (k), (k + 1)

 private:
  SafetensorsSet file_;
  const std::byte *tokens_ = nullptr, *log_p_ = nullptr;
  dim k_ = 0, token_bytes_ = 2;
  std::string fingerprint_;
  std::vector<dim> first_row_;
};

}  // namespace pith
