#include "train/teacher.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "core/error.h"
#include "model/backward/head.h"
#include "model/backward/score_heads.h"
#include "model/block_forward.h"
#include "model/forward_reserve.h"
#include "ops/heads.h"

namespace pith {

namespace {

// Keeps what a block's query, key and value matrices give, each (rows, width).
class HeadTape final : public LinearObserver {
 public:
  void begin() { filled_ = {}; }
  void linear_input(Role, dim, const float*, dim, dim) override {}
  void linear_output(Role role, dim, const float* y, dim rows, dim cols) override {
    const int at = role == Role::attn_q     ? 0
                   : role == Role::attn_k   ? 1
                   : role == Role::attn_v   ? 2
                   : role == Role::attn_qkv ? 3
                                            : -1;
    if (at < 0) return;
    std::vector<float>& to = filled_[std::size_t(at)];
    to.insert(to.end(), y, y + rows * cols);
  }
  // Of a fused matrix: its rows cut into the three.
  void split(const Config& c) {
    std::vector<float>& all = filled_[3];
    if (all.empty()) return;
    const dim q = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim, width = q + 2 * kv, n = dim(all.size()) / width;
    if (c.qkv_order == QkvOrder::by_head)
      stack_qkv({all.data(), n, c.kv_heads, c.heads / c.kv_heads, c.head_dim}, scratch_);
    for (dim i = 0; i < n; ++i) {
      const float* row = all.data() + i * width;
      filled_[0].insert(filled_[0].end(), row, row + q);
      filled_[1].insert(filled_[1].end(), row + q, row + q + kv);
      filled_[2].insert(filled_[2].end(), row + q + kv, row + width);
    }
  }
  HeadRows rows(const Config& c, std::span<const dim> lengths) const {
    HeadRows r;
    r.q = filled_[0].data();
    r.k = filled_[1].data();
    r.v = filled_[2].data();
    r.q_width = c.heads * c.head_dim;
    r.kv_width = c.kv_heads * c.head_dim;
    r.lengths = lengths;
    return r;
  }

 private:
  std::array<std::vector<float>, 4> filled_;
  Buffer scratch_;
};

struct KeptHeads {
  dim layer = 0;
  HeadTape tape;
  Buffer q, k;  // as they are multiplied
};

}  // namespace

struct Teacher::Impl {
  Network net;
  BlockForward forward;
  Head head;
  Buffer stream;                     // (tokens, hidden) after the last block
  std::vector<Buffer> kept;          // after others
  std::vector<KeptHeads> heads;      // each block once
  std::vector<std::size_t> head_at;  // of what was asked for, into heads
  std::vector<dim> lengths;
  ScoreHeads score_heads;

  void keep_heads(std::span<const dim> layers) {
    head_at.clear();
    std::size_t count = 0;
    for (const dim layer : layers) {
      std::size_t at = 0;
      while (at < count && heads[at].layer != layer) ++at;
      if (at == count) {
        if (heads.size() == count) heads.emplace_back();
        heads[count++].layer = layer;
      }
      head_at.push_back(at);
    }
    heads.resize(count);
  }

  Impl(const Network& network, dim max_length, dim sequences)
      : net(network), forward(net, max_length, sequences), head(net), score_heads(*net.config, max_length) {}
};

Teacher::Teacher(const Network& network, dim max_length, dim sequences)
    : impl_(std::make_unique<Impl>(network, max_length, sequences)) {}
Teacher::~Teacher() = default;

const Network& Teacher::network() const { return impl_->net; }
dim Teacher::vocab() const { return impl_->net.config->vocab; }

void Teacher::read(std::span<const std::vector<Token>> sequences, std::span<const dim> keep,
                   std::span<const dim> heads) {
  Impl& i = *impl_;
  const dim hidden = i.net.config->hidden;
  i.lengths.clear();
  dim rows = 0;
  for (const auto& s : sequences) {
    i.lengths.push_back(dim(s.size()));
    rows += dim(s.size());
  }
  float* x = reserve(i.stream, rows * hidden);
  for (dim row = 0; const auto& s : sequences) {
    i.forward.embed(s, x + row * hidden);
    row += dim(s.size());
  }
  i.kept.resize(keep.size());
  i.keep_heads(heads);
  for (dim l = 0; l < i.net.config->layers; ++l) {
    HeadTape* tape = nullptr;
    for (KeptHeads& kept : i.heads)
      if (kept.layer == l) tape = &kept.tape;
    if (tape) tape->begin();
    i.forward.run(l, x, i.lengths, tape);
    if (tape) tape->split(*i.net.config);
    for (std::size_t k = 0; k < keep.size(); ++k)
      if (keep[k] == l) std::copy_n(x, rows * hidden, reserve(i.kept[k], rows * hidden));
  }
}

HeadRows Teacher::heads(std::size_t kept) const {
  return impl_->heads[impl_->head_at[kept]].tape.rows(*impl_->net.config, impl_->lengths);
}

ScoreRows Teacher::scores(std::size_t kept) {
  Impl& i = *impl_;
  KeptHeads& of = i.heads[i.head_at[kept]];
  const Config& c = *i.net.config;
  const Block& block = i.net.blocks[std::size_t(of.layer)];
  const HeadRows raw = of.tape.rows(c, i.lengths);
  const dim n = std::accumulate(i.lengths.begin(), i.lengths.end(), dim(0));
  float *q = reserve(of.q, n * raw.q_width), *k = reserve(of.k, n * raw.kv_width);
  std::copy_n(raw.q, n * raw.q_width, q);
  std::copy_n(raw.k, n * raw.kv_width, k);
  i.score_heads.begin(of.layer, i.lengths);
  i.score_heads.to_scores(q, n, c.heads, block.q_norm);
  i.score_heads.to_scores(k, n, c.kv_heads, block.k_norm);
  return {.q = q, .k = k, .shape = i.score_heads.shape(), .lengths = i.lengths};
}

const float* Teacher::hidden(std::size_t kept) const { return impl_->kept[kept].as<float>(); }

float* Teacher::logits(std::span<const dim> places) { return impl_->head.logits(impl_->stream.as<float>(), places); }

void check_same_vocabulary(const Model& student, const Model& teacher) {
  const dim of_student = student.config().vocab, of_teacher = teacher.config().vocab;
  const auto refuse = [&](const std::string& what) {
    throw Error(Blame::input, "teacher", "expected the student's vocabulary, " + what,
                "--vocabulary shared where one is part of the other; --loss uld compares any two by rank");
  };
  if (!student.has_tokenizer() || !teacher.has_tokenizer()) {
    if (of_student != of_teacher) refuse(fmt::format("got {} tokens instead of {}", of_teacher, of_student));
    return;
  }
  const Tokenizer &a = student.tokenizer(), &b = teacher.tokenizer();
  const dim known = std::min(a.vocab_size(), b.vocab_size()), both = std::min({known, of_student, of_teacher});
  for (dim t = 0; t < both; ++t)
    if (a.piece(Token(t)) != b.piece(Token(t)))
      refuse(fmt::format("but token {} is \"{}\" here and \"{}\" there", t, a.piece(Token(t)), b.piece(Token(t))));
  // Padding behind the vocabulary is nothing to compare; tokens that only one has are.
  if (std::max(a.vocab_size(), b.vocab_size()) > both && a.vocab_size() != b.vocab_size())
    refuse(fmt::format("got {} known tokens instead of {}", b.vocab_size(), a.vocab_size()));
}

}  // namespace pith
