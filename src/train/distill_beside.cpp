#include <algorithm>
#include <optional>

#include "core/error.h"
#include "model/forward_reserve.h"
#include "model/sliding.h"
#include "ops/parts.h"
#include "train/alignment.h"
#include "train/distill.h"
#include "train/losses/map_rows.h"
#include "train/losses/relation_rows.h"
#include "train/state_filters.h"

namespace pith {

namespace {

std::vector<Token> tokens_of_both(const Model& student, const Model& teacher) {
  if (!student.has_tokenizer() || !teacher.has_tokenizer())
    throw input_error("vocabulary", "expected models with tokenizers to find shared tokens, got one without");
  const std::vector<Token> both =
      shared_tokens(student.tokenizer(), student.config().vocab, teacher.tokenizer(), teacher.config().vocab);
  const dim ours = std::min(student.tokenizer().vocab_size(), student.config().vocab), n = dim(both.size());
  if (n == ours || (n > 0 && n == std::min(teacher.tokenizer().vocab_size(), teacher.config().vocab))) return both;
  throw Error(
      Blame::input, "vocabulary",
      fmt::format("expected all of the student's tokens among the teacher's or the reverse, but its token {} of "
                  "{} is not there",
                  n, ours),
      "--loss uld compares models of any vocabularies");
}

class Beside final : public Objective {
 public:
  Beside(const DistillLoss& loss, const BesideOptions& options, const Model& student, const Model& teacher,
         dim max_length, dim sequences)
      : loss_(loss),
        hidden_(options.hidden),
        relations_(options.relations),
        attention_(options.attention),
        hidden_size_(student.config().hidden),
        vocab_(student.config().vocab),
        stamp_(teacher.source_stamp()),
        teacher_(teacher, max_length, sequences) {
    if (hidden_.weight == 0) hidden_.pairs.clear();
    if (relations_.weight == 0) relations_.pairs.clear();
    if (attention_.weight == 0) attention_.pairs.clear();
    if (hidden_.weight > 0 && hidden_.map != StateMap::none)
      filters_.emplace(hidden_, student.config().hidden, teacher.config().hidden);
    for (const auto* pairs : {&relations_.pairs, &attention_.pairs})
      for (const LayerPair& pair : *pairs) heads_.push_back(pair.teacher);
    for (const LayerPair& pair : hidden_.pairs) kept_.push_back(pair.teacher);
    if (options.shared_tokens) shared_ = tokens_of_both(student, teacher);
  }

  void begin(const MicroBatch& batch, double weight) override {
    Objective::begin(batch, weight);
    if (shared_.empty()) return teacher_.read(batch.sequences, kept_, heads_);
    theirs_ = batch.sequences;
    for (std::vector<Token>& sequence : theirs_)
      for (Token& t : sequence) t = teachers_token(t);
    teacher_.read(theirs_, kept_, heads_);
  }
  bool sees_block(dim layer) const override { return has(hidden_.pairs, layer); }
  // At the places that predict, as all else of the loss.
  double block_part(dim layer, const float* x, dim, float* gradient) override {
    double sum = 0;
    for (std::size_t k = 0; k < hidden_.pairs.size(); ++k) {
      if (hidden_.pairs[k].student != layer) continue;
      const double weight = weight_ * hidden_.weight / double(hidden_.pairs.size());
      if (filters_) {
        sum += filters_->part(k, batch_->places, x, teacher_.hidden(k), weight, gradient);
        continue;
      }
      for (const dim place : batch_->places)
        sum += weight * hidden_row(hidden_.kind, x + place * hidden_size_, teacher_.hidden(k) + place * hidden_size_,
                                   hidden_size_, weight, gradient + place * hidden_size_);
    }
    return sum;
  }
  bool sees_heads(dim layer) const override { return has(relations_.pairs, layer); }
  bool sees_scores(dim layer) const override { return has(attention_.pairs, layer); }
  double heads_part(dim layer, const HeadRows& ours) override {
    // As much as the batch's places count.
    const double weight =
        weight_ * double(batch_->places.size()) * relations_.weight / double(3 * relations_.pairs.size());
    double sum = 0;
    for (std::size_t k = 0; k < relations_.pairs.size(); ++k) {
      if (relations_.pairs[k].student != layer) continue;
      const HeadRows theirs = teacher_.heads(k);
      const auto of = [&](const float* x, const float* teacher, dim width, dim teacher_width, float* gradient) {
        sum += relation_loss({x, teacher, width, teacher_width, relations_.heads, ours.lengths, gradient}, weight);
      };
      of(ours.q, theirs.q, ours.q_width, theirs.q_width, ours.dq);
      of(ours.k, theirs.k, ours.kv_width, theirs.kv_width, ours.dk);
      of(ours.v, theirs.v, ours.kv_width, theirs.kv_width, ours.dv);
    }
    return sum;
  }
  double scores_part(dim layer, const ScoreRows& ours) override {
    const double weight = weight_ * double(batch_->places.size()) * attention_.weight / double(attention_.pairs.size());
    double sum = 0;
    for (std::size_t k = 0; k < attention_.pairs.size(); ++k)
      if (attention_.pairs[k].student == layer)
        sum += attention_map_loss(ours, teacher_.scores(relations_.pairs.size() + k), weight);
    return sum;
  }
  std::span<Parameter> parameters() override { return filters_ ? filters_->parameters() : std::span<Parameter>(); }
  void prepare(const Network& student, const TrainingData& data, Progress& progress) override {
    if (filters_) filters_->train(student, teacher_.network(), data, progress);
  }
  double part(std::span<const dim> places, float* logits) override {
    const std::vector<Token> targets = targets_of(places);
    return distill_rows(loss_, {logits, dim(places.size()), vocab_, targets, weight_}, teacher_logits(places));
  }
  std::string describe() const override {
    const std::string over = shared_.empty() ? "" : fmt::format(" over {} shared tokens", shared_.size());
    return describe_loss(loss_) + over + describe_hidden(hidden_) + describe_relations(relations_) +
           describe_attention(attention_);
  }
  std::string identity() const override { return fmt::format("{} {:g} {}", stamp_, hidden_.filter_rate, hidden_.seed); }

 private:
  static bool has(const std::vector<LayerPair>& pairs, dim layer) {
    return std::any_of(pairs.begin(), pairs.end(), [&](const LayerPair& p) { return p.student == layer; });
  }
  Token teachers_token(Token t) const {
    if (std::size_t(t) < shared_.size()) return shared_[std::size_t(t)];
    throw Error(Blame::input, "teacher", fmt::format("expected text of tokens that the teacher has, got token {}", t),
                "--loss uld lets each model read its own");
  }
  // Of shared tokens in the student's order.
  TeacherLogits teacher_logits(std::span<const dim> places) {
    const float* all = teacher_.logits(places);
    if (shared_.empty()) return {all, teacher_.vocab()};
    const dim width = dim(shared_.size());
    float* some = reserve(picked_, dim(places.size()) * width);
    parallel_for(
        dim(places.size()),
        [&](dim i) {
          for (dim k = 0; k < width; ++k) some[i * width + k] = all[i * teacher_.vocab() + shared_[std::size_t(k)]];
        },
        grain_of(width));
    return {some, width};
  }

  DistillLoss loss_;
  HiddenLoss hidden_;
  RelationLoss relations_;
  AttentionLoss attention_;
  std::optional<StateFilters> filters_;
  dim hidden_size_, vocab_;
  std::string stamp_;
  std::vector<dim> kept_, heads_;  // the teacher's blocks
  Teacher teacher_;
  std::vector<Token> shared_;  // the teacher's ids of the student's first tokens; empty: all are the same
  std::vector<std::vector<Token>> theirs_;
  Buffer picked_;
};

void check_attention(const AttentionLoss& attention, const Config& student, const Config& teacher) {
  if (student.heads != teacher.heads)
    throw Error(Blame::input, "attention",
                fmt::format("expected as many heads as the teacher's, {}, got {}", teacher.heads, student.heads),
                "--relations compares models of any numbers of heads");
  const auto window = [](const Config& c, dim layer) { return layer_slides(c, layer) ? c.sliding_window : 0; };
  for (const LayerPair& p : attention.pairs)
    if (window(student, p.student) != window(teacher, p.teacher))
      throw input_error("attention-layers", "expected blocks that see equally far back, got {}:{}, which see {} and {}",
                        p.student, p.teacher, window(student, p.student), window(teacher, p.teacher));
}

void check_states(const BesideOptions& options, const Config& student, const Config& teacher) {
  const HiddenLoss& hidden = options.hidden;
  const RelationLoss& relations = options.relations;
  for (const auto& [name, weight] : {std::pair("hidden", hidden.weight), std::pair("relations", relations.weight),
                                     std::pair("attention", options.attention.weight)})
    if (!(weight >= 0 && weight <= 1e6)) throw input_error(name, "expected a weight from 0 to 1e6, got {}", weight);
  if (hidden.weight > 0 && hidden.map == StateMap::none && student.hidden != teacher.hidden)
    throw Error(
        Blame::input, "hidden",
        fmt::format("expected states of the student's size, {}, got the teacher's {}", student.hidden, teacher.hidden),
        "--hidden-map projection or filters learns a map between them");
  if (hidden.map == StateMap::filters && options.shared_tokens)
    throw input_error("hidden-map", "expected the same vocabulary with filters, which learn the text's tokens");
  if (!(hidden.filter_steps >= 0 && hidden.filter_rate >= 0 && hidden.filter_rate <= 10))
    throw input_error("hidden-map", "expected steps and a rate of filters from 0, got {} and {}", hidden.filter_steps,
                      hidden.filter_rate);
  if (options.attention.weight > 0) check_attention(options.attention, student, teacher);
  if (relations.weight == 0) return;
  for (const Config* c : {&student, &teacher})
    for (const dim width : {c->heads * c->head_dim, c->kv_heads * c->head_dim})
      if (relations.heads < 1 || width % relations.heads != 0)
        throw input_error("relation-heads", "expected a number that divides {}, got {}", width, relations.heads);
}

}  // namespace

std::unique_ptr<Objective> distill_objective(const DistillLoss& loss, const Model& student, const Model& teacher,
                                             dim max_length, dim sequences, const BesideOptions& options) {
  check_distill_loss(loss);
  if (!options.shared_tokens) check_same_vocabulary(student, teacher);
  check_states(options, student.config(), teacher.config());
  return std::make_unique<Beside>(loss, options, student, teacher, max_length, sequences);
}

}  // namespace pith
