#include "study/sweep_axes.h"

#include "core/byte_size.h"
#include "core/error.h"

namespace pith {

namespace {

std::vector<SweepPoint> with_methods(const SweepAxes& axes, const RecipeFile& rest) {
  const std::string name = !axes.name.empty() ? axes.name : axes.recipe;
  if (axes.methods.empty()) {
    SweepPoint point{name, rest};
    if (rest.recipe.steps.empty()) point.recipe.recipe.steps = steps_of("rtn", {});
    if (name.empty()) point.name = steps_text(point.recipe.recipe);
    return {std::move(point)};
  }
  if (!rest.recipe.steps.empty()) throw Error(Blame::input, "points", "expected either 'methods' or 'steps', got both");
  std::vector<SweepPoint> points;
  for (const std::string& chain : axes.methods) {
    const bool own = !name.empty() && axes.methods.size() == 1;
    points.push_back({own ? name : name.empty() ? chain : name + " " + chain, rest});
    points.back().recipe.recipe.steps = steps_of(chain, {});
  }
  return points;
}

std::vector<SweepPoint> with_option(const std::vector<SweepPoint>& points, const std::string& option,
                                    const std::vector<std::string>& values) {
  std::vector<SweepPoint> out;
  for (const SweepPoint& point : points)
    for (const std::string& value : values) {
      out.push_back(point);
      give_options(out.back().recipe.recipe.steps, {option + "=" + value});
      if (values.size() > 1) out.back().name += " " + option + "=" + value;
    }
  return out;
}

std::vector<SweepPoint> with_sizes(const std::vector<SweepPoint>& points, const SweepAxes& axes) {
  std::vector<SweepPoint> out;
  for (const SweepPoint& point : points) {
    const auto add = [&](const std::string& size) -> Recipe& {
      out.push_back({point.name + " " + size, point.recipe});
      return out.back().recipe.recipe;
    };
    for (const std::string& name : axes.formats) {
      Recipe& recipe = add(name);
      recipe.format = &format_or_throw(name);
      recipe.max_bytes.reset();
    }
    for (const std::string& bytes : axes.budgets) {
      Recipe& recipe = add(bytes);
      recipe.max_bytes = parse_bytes(bytes);
      recipe.format = nullptr;
    }
  }
  return out;
}

}  // namespace

std::vector<SweepPoint> points_of(const SweepAxes& axes, const RecipeFile& rest) {
  std::vector<SweepPoint> points = with_methods(axes, rest);
  for (const auto& [option, values] : axes.options) points = with_option(points, option, values);
  return axes.formats.empty() && axes.budgets.empty() ? points : with_sizes(points, axes);
}

}  // namespace pith
