// Experts that become the average of several, and the router's rows for them.
#pragma once
#include "model/model_impl.h"
#include "model/surgery.h"

namespace pith {

// Before anything else is cut: the surgery's `merged` and `router`. Values are f32 afterwards.
void merge_experts(Model::Impl& model, const Surgery& surgery);

}  // namespace pith
