// config.json: the keys that families share. Error(input) that names the key.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "model/arch.h"
#include "model/json_keys.h"

namespace pith {

inline constexpr std::string_view kConfigJson = "config.json";  // where faults are reported
// Of models that no other program would run as they are meant; the family's stands at pith.model_type.
inline constexpr std::string_view kOwnModelType = "pith";

Config config_from_hf(const nlohmann::json& config, const Arch& arch);
// Everything but token ids, dtype and biases, which the exporter knows.
nlohmann::json config_to_hf(const Config& config, const Arch& arch);

// How many dimensions of a head are rotated: the share partial_rotary_factor of them.
dim rotated_dims(const JsonKeys& keys, dim head_dim, double otherwise);

Activation activation_from_hf(std::string_view hidden_act);
std::string_view activation_to_hf(Activation activation);

}  // namespace pith
