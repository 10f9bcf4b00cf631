// A study as a page to look at, and as a card for a model's folder.
#pragma once
#include <span>
#include <string>

#include "report/study/record.h"

namespace pith::report {

// Studies of several originals stand one after another; the survey's tables close a page of a sweep.
std::string study_page(std::span<const Study> studies, bool survey);

// README.md of a folder with these models on Hugging Face: front matter, then the page's content as Markdown.
// base_model: as it is called there; empty: the front matter names none.
std::string model_card(const Study& study, const std::string& base_model);

}  // namespace pith::report
