#include "compress/prune/pruned_matrix.h"

#include <cmath>
#include <cstring>

#include "compress/quantize/range_options.h"
#include "core/error.h"
#include "core/parallel.h"

namespace pith {

namespace {
constexpr dim kRowsAtOnce = 16;
}

void write_pruned(const LayerTask& task, const Options&) {
  PITH_CHECK(task.source && task.format && task.out && fits(*task.format, task.cols));
  if (!task.state) return round_to_nearest(task, {});
  const auto& pruned = static_cast<const PrunedMatrix&>(*task.state);
  const dim bytes = row_bytes(*task.format, task.cols);
  PITH_CHECK(pruned.cols == task.cols && (task.first_row + task.rows) * bytes <= dim(pruned.rows.size()));
  std::memcpy(task.out, pruned.rows.data() + task.first_row * bytes, std::size_t(task.rows * bytes));
}

static void over_rows(dim rows, const std::function<void(dim begin, dim end)>& body) {
  parallel_ranges(rows, kRowsAtOnce, body);
}

std::vector<std::uint8_t> select_values(const ScaledMatrix& m, const Pruning& p, const ScoreRow& score) {
  const bool whole = p.scope == PruneScope::matrix && !p.pattern();
  std::vector<std::uint8_t> kept(static_cast<std::size_t>(m.rows * m.cols));
  std::vector<float> all(static_cast<std::size_t>(whole ? m.rows * m.cols : 0));
  over_rows(m.rows, [&](dim begin, dim end) {
    std::vector<float> values(static_cast<std::size_t>(m.cols)), own(values.size());
    for (dim r = begin; r < end; ++r) {
      float* scores = whole ? all.data() + r * m.cols : own.data();
      std::uint8_t* to = kept.data() + r * m.cols;
      m.load(r, values.data());
      score(r, values.data(), scores);
      if (p.pattern())
        drop_by_pattern(p, own, to);
      else if (!whole)
        drop_lowest(own, p.dropped(1, 0, m.cols), to);
    }
  });
  if (whole) drop_lowest(all, p.dropped(m.rows, 0, m.cols), kept.data());
  return kept;
}

ScoreRow magnitude_scores(std::vector<float> norms) {
  return [norms = std::move(norms)](dim, const float* w, float* scores) {
    for (std::size_t c = 0; c < norms.size(); ++c) scores[c] = std::fabs(w[c]) * norms[c];
  };
}

std::unique_ptr<PrunedMatrix> encode_pruned(const ScaledMatrix& m, const std::vector<std::uint8_t>& kept,
                                            const std::function<void(dim row, float* to)>& load) {
  auto out = std::make_unique<PrunedMatrix>();
  const dim bytes = row_bytes(*m.format, m.cols);
  out->cols = m.cols;
  out->rows.resize(std::size_t(m.rows * bytes));
  const std::vector<float> squares = m.stats ? m.stats->mean_squares() : std::vector<float>(std::size_t(m.cols), 1.0f);
  over_rows(m.rows, [&](dim begin, dim end) {
    std::vector<float> values(static_cast<std::size_t>(m.cols)), weights(values.size());
    for (dim r = begin; r < end; ++r) {
      load(r, values.data());
      for (dim c = 0; c < m.cols; ++c) {
        const bool stays = kept[std::size_t(r * m.cols + c)];
        if (!stays) values[std::size_t(c)] = 0;
        weights[std::size_t(c)] = stays ? squares[std::size_t(c)] : 0;  // zeros are exact, whatever the range
      }
      m.format->encode(*m.format, values.data(), weights.data(), m.cols, {}, out->rows.data() + r * bytes);
    }
  });
  out->note = note_on_inputs(m);
  return out;
}

void polish_rows(const ScaledMatrix& m, const Feedback& feedback, const std::vector<std::uint8_t>& kept, int sweeps,
                 PrunedMatrix& rows) {
  if (sweeps == 0) return;
  const dim bytes = row_bytes(*m.format, m.cols);
  over_rows(m.rows, [&](dim begin, dim end) {
    std::vector<float> values(static_cast<std::size_t>(m.cols));
    for (dim r = begin; r < end; ++r) {
      m.load(r, values.data());
      LayerTask task{values.data(), 1, m.cols, m.format, nullptr, rows.rows.data() + r * bytes};
      polish(feedback, task, sweeps, kept.data() + r * m.cols);
    }
  });
}

std::vector<float> input_norms(const ScaledMatrix& m) {
  std::vector<float> norms(std::size_t(m.cols), 1.0f);
  if (!m.stats || m.stats->tokens == 0) return norms;
  for (dim c = 0; c < m.cols; ++c)
    norms[std::size_t(c)] = float(std::sqrt(m.stats->squares[std::size_t(c)] / double(m.stats->tokens)));
  return norms;
}

std::string note_on_inputs(const ScaledMatrix& m) {
  return m.stats && m.stats->tokens > 0 ? "" : "no input was measured: pruned by magnitude";
}

}  // namespace pith
