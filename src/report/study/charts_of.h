// The charts of a study's page; each adds a figure, or nothing where nothing was measured.
#pragma once
#include <string>

#include "report/page/page.h"
#include "report/study/record.h"

namespace pith::report {

// prefix: of ids, so that several studies can share a page.
void add_size_chart(Page& page, const Study& study, const std::string& prefix);
void add_speed_chart(Page& page, const Study& study, const std::string& prefix);
void add_task_chart(Page& page, const Study& study, const std::string& prefix);
void add_layer_map(Page& page, const Study& study, const std::string& prefix);
void add_tensor_maps(Page& page, const Study& study, const std::string& prefix);
void add_position_chart(Page& page, const Study& study, const std::string& prefix);
void add_histograms(Page& page, const Study& study, const std::string& prefix);

}  // namespace pith::report
