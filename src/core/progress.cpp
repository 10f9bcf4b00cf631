#include "core/progress.h"

namespace pith {

Progress& no_progress() {
  struct Silent : Progress {
    void begin(std::string_view, dim) override {}
    void advance(dim, std::string_view) override {}
    void end() override {}
  };
  static Silent silent;
  return silent;
}

}  // namespace pith
