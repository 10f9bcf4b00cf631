#include "train/teacher.h"

#include <algorithm>

#include "core/error.h"
#include "model/backward/head.h"
#include "model/block_forward.h"
#include "model/forward_reserve.h"

namespace pith {

struct Teacher::Impl {
  Network net;
  BlockForward forward;
  Head head;
  Buffer stream;             // (tokens, hidden) after the last block
  std::vector<Buffer> kept;  // after others
  std::vector<dim> lengths;

  Impl(const Model& model, dim max_length, dim sequences)
      : net(Network::of(model)), forward(net, max_length, sequences), head(net) {}
};

Teacher::Teacher(const Model& model, dim max_length, dim sequences)
    : impl_(std::make_unique<Impl>(model, max_length, sequences)) {}
Teacher::~Teacher() = default;

dim Teacher::vocab() const { return impl_->net.config->vocab; }

void Teacher::read(std::span<const std::vector<Token>> sequences, std::span<const dim> keep) {
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
  for (dim l = 0; l < i.net.config->layers; ++l) {
    i.forward.run(l, x, i.lengths);
    for (std::size_t k = 0; k < keep.size(); ++k)
      if (keep[k] == l) std::copy_n(x, rows * hidden, reserve(i.kept[k], rows * hidden));
  }
}

const float* Teacher::hidden(std::size_t kept) const { return impl_->kept[kept].as<float>(); }

const float* Teacher::logits(std::span<const dim> places) {
  return impl_->head.logits(impl_->stream.as<float>(), places);
}

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
