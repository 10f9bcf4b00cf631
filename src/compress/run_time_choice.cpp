#include "compress/run_time_choice.h"

#include "compress/target_profile.h"
#include "core/error.h"

namespace pith {

namespace {

void note_rotation(const Recipe& recipe, std::vector<std::string>& notes) {
  if (recipe.target)
    throw Error(Blame::input, "target",
                fmt::format("expected a model that {} runs, got one that is turned while it runs", recipe.target->name),
                "set down=false");
  notes.push_back("inputs of down-projections are turned while the model runs: only pith does that");
}

ActSpec activations_for(const Model& model, const Recipe& recipe, Container container,
                        std::vector<std::string>& notes) {
  if (recipe.activations) return *recipe.activations;
  const ActSpec& own = model.run_time().activations;
  const bool some = container == Container::hf || container == Container::gguf || container == Container::pith;
  const bool place = own.plan().fixed ? container == Container::hf : some;
  if (!own.plan().on() || place) return own;
  notes.push_back("activations " + own.text() + " of the source: the container has no place for them");
  return ActSpec();
}

KvSpec kv_for(const Model& model, const Recipe& recipe, std::vector<std::string>& notes) {
  const KvSpec kv = recipe.kv.value_or(model.run_time().kv);
  if (!kv.plan(model.config().head_dim).latent || !model.config().kv_latent.empty()) return kv;
  if (recipe.kv)
    throw Error(Blame::input, "kv",
                "expected an output whose keys and values share an inner factor in every block, for " + kv.text(),
                "pith factorize MODEL --where 'attn_k|attn_v' --set joint=true; pith's own folders alone hold factors");
  notes.push_back("keys and values of the source as " + kv.text() + ": the output shares no factor of them");
  return KvSpec();
}

}  // namespace

RunTime run_time_of(const Model& model, const Recipe& recipe, Container container, std::vector<std::string>& notes) {
  if (model.config().rotated_down) note_rotation(recipe, notes);
  return {activations_for(model, recipe, container, notes), kv_for(model, recipe, notes)};
}

}  // namespace pith
