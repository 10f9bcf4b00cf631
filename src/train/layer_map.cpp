#include "train/layer_map.h"

#include <charconv>
#include <set>

#include "core/error.h"

namespace pith {

namespace {

LayerPair pair_of(std::string_view text) {
  LayerPair pair;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, pair.student);
  if (first.ec == std::errc() && first.ptr != end && *first.ptr == ':') {
    const auto second = std::from_chars(first.ptr + 1, end, pair.teacher);
    if (second.ec == std::errc() && second.ptr == end) return pair;
  }
  throw input_error("layers", "expected uniform, last or pairs such as 3:4,11:15, got {}", text);
}

}  // namespace

std::vector<LayerPair> layer_pairs(std::string_view text, dim student_layers, dim teacher_layers) {
  std::vector<LayerPair> pairs;
  if (text == "last") return {{student_layers - 1, teacher_layers - 1}};
  if (text == "uniform") {
    for (dim i = 0; i < student_layers; ++i) {
      const dim t = (i + 1) * teacher_layers / student_layers - 1;
      if (t >= 0) pairs.push_back({i, t});
    }
    return pairs;
  }
  std::set<dim> named;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const LayerPair pair = pair_of(text.substr(begin, end - begin));
    if (pair.student < 0 || pair.student >= student_layers || pair.teacher < 0 || pair.teacher >= teacher_layers)
      throw input_error("layers", "expected blocks 0 to {} of the student and 0 to {} of the teacher, got {}:{}",
                        student_layers - 1, teacher_layers - 1, pair.student, pair.teacher);
    if (!named.insert(pair.student).second)
      throw input_error("layers", "expected each block of the student once, got {} again", pair.student);
    pairs.push_back(pair);
    begin = end + 1;
  }
  return pairs;
}

static std::string pairs_text(const std::vector<LayerPair>& pairs) {
  std::string text;
  for (const LayerPair& p : pairs) text += fmt::format("{}{}:{}", text.empty() ? "" : ",", p.student, p.teacher);
  return text;
}

StateMap state_map_or_throw(std::string_view name) {
  if (name == "none") return StateMap::none;
  if (name == "projection") return StateMap::projection;
  if (name == "filters") return StateMap::filters;
  throw input_error("hidden-map", "expected none, projection or filters, got {}", name);
}

std::string describe_hidden(const HiddenLoss& loss) {
  if (loss.weight == 0) return "";
  const std::string through = loss.map == StateMap::none ? ""
                              : loss.map == StateMap::projection
                                  ? " through projections"
                                  : fmt::format(" through filters of {} steps", loss.filter_steps);
  return fmt::format(" + {:g} hidden {} of {}{}", loss.weight, name_of(loss.kind), pairs_text(loss.pairs), through);
}

std::string describe_relations(const RelationLoss& loss) {
  if (loss.weight == 0) return "";
  return fmt::format(" + {:g} relations of {} in {} parts", loss.weight, pairs_text(loss.pairs), loss.heads);
}

std::string describe_attention(const AttentionLoss& loss) {
  return loss.weight == 0 ? "" : fmt::format(" + {:g} attention of {}", loss.weight, pairs_text(loss.pairs));
}

}  // namespace pith
