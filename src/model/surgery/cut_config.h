// config.json of a model that was cut.
#pragma once
#include <string>

#include "model/arch.h"
#include "model/surgery.h"

namespace pith {

// The text with what has changed of the choices.
std::string cut_config(const std::string& text, const Config& before, const Config& after, const Arch& arch,
                       const Surgery& surgery);

}  // namespace pith
