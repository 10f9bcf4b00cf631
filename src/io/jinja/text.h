// Text as Python sees it: a row of characters.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base.h"

namespace pith::jinja {

bool is_space(char32_t c);
dim character_count(std::string_view text);
std::vector<std::string_view> characters(std::string_view text);
// Without white space, or the characters of `set`, at the chosen ends.
std::string_view strip(std::string_view text, bool left, bool right, std::optional<std::string_view> set = {});
std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string capitalize(std::string_view text);
std::string title(std::string_view text);
std::vector<std::string_view> split_space(std::string_view text, dim most);  // most < 0: everywhere
std::vector<std::string_view> split(std::string_view text, std::string_view separator, dim most);
std::vector<std::string_view> split_from_right(std::string_view text, std::string_view separator, dim most);
std::vector<std::string_view> split_lines(std::string_view text);
std::string escape_html(std::string_view text);
std::string repr_text(std::string_view text);

}  // namespace pith::jinja
