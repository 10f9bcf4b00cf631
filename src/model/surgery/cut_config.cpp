#include "model/surgery/cut_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "model/config_hf.h"
#include "model/config_keys.h"

namespace pith {

// bos_token_id and the like, single or in lists.
static void move_ids(nlohmann::json& config, const std::vector<Token>& kept) {
  const auto moved = [&](const nlohmann::json& id) -> nlohmann::json {
    const auto at =
        id.is_number_integer() ? std::lower_bound(kept.begin(), kept.end(), id.get<std::int64_t>()) : kept.end();
    if (at == kept.end() || id != *at) return nullptr;
    return at - kept.begin();
  };
  for (auto& [key, value] : config.items()) {
    if (!key.ends_with("_token_id")) continue;
    if (value.is_array())
      for (auto& id : value) id = moved(id);
    else
      value = moved(value);
  }
}

std::string cut_config(const std::string& text, const Config& before, const Config& after, const Arch& arch,
                       const Surgery& surgery) {
  nlohmann::json config = nlohmann::json::parse(text);
  const nlohmann::json was = config_to_hf(before, arch), is = config_to_hf(after, arch);
  for (const auto& [key, value] : is.items())
    if (!was.contains(key) || was.at(key) != value) config[key] = value;
  const Spelling spelling{true, arch.hf_sizes};
  for (const SizeKey& key : size_keys())  // no longer what its default makes of the others
    if (key.field == &Config::head_dim && !spelling.in_hf(key).hf.empty())
      config[std::string(spelling.in_hf(key).hf)] = after.head_dim;
  if (const auto types = config.find("layer_types"); types != config.end() && types->is_array()) {
    nlohmann::json kept = nlohmann::json::array();
    for (const dim layer : surgery.layers)
      if (std::size_t(layer) < types->size()) kept.push_back(types->at(std::size_t(layer)));
    *types = kept;
  }
  const auto added = [&](const std::vector<float> BlockCut::*bias) {
    return std::any_of(surgery.blocks.begin(), surgery.blocks.end(),
                       [&](const BlockCut& b) { return !(b.*bias).empty(); });
  };
  if (added(&BlockCut::attn_bias) && !arch.hf_bias_key.empty()) config[std::string(arch.hf_bias_key)] = true;
  if (added(&BlockCut::ffn_bias)) config["mlp_bias"] = true;
  if (!surgery.tokens.empty()) move_ids(config, surgery.tokens);
  return config.dump();
}

}  // namespace pith
