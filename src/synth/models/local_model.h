// A model of this machine, asked through the batch engine of `pith serve`.
#pragma once
#include <memory>

#include "model/model.h"
#include "serve/batch/batch_engine.h"
#include "synth/text_model.h"

namespace pith {
class Likelihoods;
}

namespace pith::synth {

struct LocalChoice {
  dim slots = 16;      // requests that run at once; from 2, so that how many there are changes no bit
  dim context = 0;     // most tokens of prompt and answer; 0: the model's own limit
  bool exact = false;  // products in f32
  std::string kv = {}, activations = {};  // codecs, empty: as the model says
};

class LocalModel : public TextModel {
 public:
  // Error(input) where the model has no chat template.
  LocalModel(const std::filesystem::path& path, const LocalChoice& choice);
  ~LocalModel() override;

  ModelIdentity identity() const override;
  void answer(std::span<const Request> requests, const std::function<void(std::size_t, const Reply&)>& done) override;
  void score(std::span<const ScoreRequest> requests,
             const std::function<void(std::size_t, const TextScore&)>& done) override;
  dim prompt_tokens(const Conversation& messages) const override;

 private:
  using Done = std::function<void(std::size_t, const Reply&)>;
  struct Asked {
    std::size_t index;
    std::vector<Token> prompt, against;
  };
  std::vector<Token> tokens_of(const Conversation& messages) const;
  BatchEngine& engine_for(dim context);
  void run_batch(std::span<const Request> requests, std::vector<Asked> asked, const Done& done);
  void run_contrast(std::span<const Request> requests, std::vector<Asked> asked, const Done& done);

  Model model_;
  LocalChoice choice_;
  dim limit_;
  mutable std::string hash_;
  std::unique_ptr<BatchEngine> engine_;
  std::unique_ptr<Likelihoods> likelihoods_;
};

}  // namespace pith::synth
