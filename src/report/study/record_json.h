// Records as json values. Heavy: for this room's sources only.
#pragma once
#include "report/json_values.h"
#include "report/study/record.h"

namespace pith::report {

Json json_of(const ModelRecord& record);

}  // namespace pith::report
