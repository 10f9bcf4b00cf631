#include "ops/kv/kv_attention.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "kernels/gemm.h"
#include "kernels/rows.h"
#include "ops/attention_lanes.h"
#include "ops/parts.h"

namespace pith {

namespace {

constexpr dim kStrip = 128;     // positions decoded at once: whole blocks of every codec
constexpr dim kMostGroups = 8;  // of sixteen lanes that share a decoded strip

struct Scratch {
  float *decoded, *exact;  // (strip, head_dim)
  float* masked;           // (strip, 16): scores or weights of one kind where a strip has both
  float* codec;            // (2 * head_dim)
  float* groups;           // each: queries (head_dim, 16), outputs (head_dim, 16), scores (longest, 16)
  dim group_values;

  static dim group_size(dim head_dim, dim longest) { return (2 * head_dim + longest) * kLanes; }
  static dim size(dim head_dim, dim longest, dim groups) {
    return 2 * kStrip * head_dim + kStrip * kLanes + 2 * head_dim + groups * group_size(head_dim, longest);
  }
  Scratch(float* at, dim head_dim, dim longest)
      : decoded(at),
        exact(decoded + kStrip * head_dim),
        masked(exact + kStrip * head_dim),
        codec(masked + kStrip * kLanes),
        groups(codec + 2 * head_dim),
        group_values(group_size(head_dim, longest)) {}
};

// Where a lane's exact positions begin, of keys or of values.
struct Border {
  dim of_lane[kLanes];
  dim least, most;
  Border() = default;
  Border(const KvSide& side, const Lanes& lanes) {
    for (dim i = 0; i < kLanes; ++i) of_lane[i] = side.exact_from(lanes.position[i]);
    least = *std::min_element(of_lane, of_lane + kLanes);
    most = *std::max_element(of_lane, of_lane + kLanes);
  }
};

struct Group {
  Lanes lanes;
  dim first = 0, end = 0;  // positions that its lanes see
  Border keys, values;
  float *queries = nullptr, *outputs = nullptr, *scores = nullptr;
  float inverse_sum[kLanes];
};

// Positions [begin, end) of a strip that a group reads in one way.
struct Range {
  dim begin, end;
  dim size() const { return end - begin; }
};
Range decoded_part(const Group& g, const Border& border, Range strip) {
  return {std::max(strip.begin, g.first), std::min({strip.end, g.end, border.most})};
}
Range exact_part(const Group& g, const Border& border, Range strip) {
  return {std::max({strip.begin, g.first, border.least}), std::min(strip.end, g.end)};
}

class TaskRun {
 public:
  TaskRun(const KvAttentionCall& call, const KvQueryRun& run, dim kv_head, const Scratch& scratch)
      : call_(call), s_(call.shape), run_(run), kv_head_(kv_head), scratch_(scratch) {}

  void operator()(dim first_pair, dim pairs, const float* q, float* out) {
    const QueryRows rows = {run_.first_position, run_.count, run_.row};
    for (dim pair = first_pair; pair < first_pair + pairs; pair += kLanes) add_group(rows, pair, q);
    Range all = {groups_[0].first, 0};
    for (dim g = 0; g < used_; ++g) {
      all.begin = std::min(all.begin, groups_[std::size_t(g)].first);
      all.end = std::max(all.end, groups_[std::size_t(g)].end);
    }
    for_strips(all, [&](Range strip) { score(strip); });
    for (dim g = 0; g < used_; ++g) soften(groups_[std::size_t(g)]);
    for_strips(all, [&](Range strip) { mix(strip); });
    for (dim g = 0; g < used_; ++g) {
      const Group& group = groups_[std::size_t(g)];
      scatter_outputs(s_, group.lanes, group.outputs, group.inverse_sum, out);
    }
  }

 private:
  void add_group(const QueryRows& rows, dim pair, const float* q) {
    Group& g = groups_[std::size_t(used_)];
    g.lanes = lanes_of(s_, rows, kv_head_, pair);
    const auto [least, most] = std::minmax_element(g.lanes.position, g.lanes.position + kLanes);
    g.first = s_.window > 0 ? std::max<dim>(0, *least - s_.window + 1) : 0;
    g.end = *most + 1;
    g.keys = Border(call_.keys->side(), g.lanes);
    g.values = Border(call_.values->side(), g.lanes);
    g.queries = scratch_.groups + used_ * scratch_.group_values;
    g.outputs = g.queries + s_.head_dim * kLanes;
    g.scores = g.outputs + s_.head_dim * kLanes;
    gather_queries(s_, g.lanes, q, g.queries);
    std::fill_n(g.outputs, s_.head_dim * kLanes, 0.0f);
    ++used_;
  }

  template <class Body>
  void for_strips(Range all, const Body& body) {
    for (dim at = all.begin / kStrip * kStrip; at < all.end; at += kStrip)
      body(Range{at, std::min(at + kStrip, all.end)});
  }

  // Decodes and fetches what any group needs of the strip; position p is row p - strip.begin of both buffers.
  void load(const KvLayout& layout, KvArea area, const KvRows& rows, Border Group::*border, Range strip) {
    dim decoded_end = strip.begin, exact_begin = strip.end;
    for (dim g = 0; g < used_; ++g) {
      const Group& group = groups_[std::size_t(g)];
      const Range decoded = decoded_part(group, group.*border, strip), exact = exact_part(group, group.*border, strip);
      if (decoded.size() > 0) decoded_end = std::max(decoded_end, decoded.end);
      if (exact.size() > 0) exact_begin = std::min(exact_begin, exact.begin);
    }
    const dim tokens = layout.side().tokens;
    decoded_end = (decoded_end + tokens - 1) / tokens * tokens;
    layout.read_encoded(area, kv_head_, strip.begin, decoded_end, scratch_.decoded, scratch_.codec);
    float* exact = scratch_.exact + (exact_begin - strip.begin) * s_.head_dim;
    layout.read_exact(area, kv_head_, exact_begin, strip.end, rows, exact);
    if (border != &Group::keys || !call_.key_rope) return;
    turn(scratch_.decoded, {strip.begin, decoded_end});
    turn(exact, {exact_begin, strip.end});
  }

  void turn(float* rows, Range range) {
    for (dim p = range.begin; p < range.end; ++p, rows += s_.head_dim)
      rope_row(rows, 1, s_.head_dim, *call_.key_rope, p, call_.neighbours);
  }

  void score(Range strip) {
    load(*call_.keys, run_.keys, run_.key_rows, &Group::keys, strip);
    for (dim i = 0; i < used_; ++i) {
      Group& g = groups_[std::size_t(i)];
      const Range decoded = decoded_part(g, g.keys, strip), exact = exact_part(g, g.keys, strip);
      if (decoded.size() > 0) score_part(g, scratch_.decoded, strip.begin, decoded, scores_of(g, decoded.begin));
      if (exact.size() <= 0) continue;
      if (exact.begin >= g.keys.most || decoded.size() <= 0) {
        score_part(g, scratch_.exact, strip.begin, exact, scores_of(g, exact.begin));
        continue;
      }
      score_part(g, scratch_.exact, strip.begin, exact, scratch_.masked);
      float* scores = scores_of(g, exact.begin);
      for (dim p = exact.begin; p < exact.end; ++p)
        for (dim lane = 0; lane < kLanes; ++lane) {
          const dim at = (p - exact.begin) * kLanes + lane;
          if (p >= g.keys.of_lane[lane]) scores[at] = scratch_.masked[at];
        }
    }
  }

  static float* scores_of(const Group& g, dim position) { return g.scores + (position - g.first) * kLanes; }

  void score_part(const Group& g, const float* keys, dim origin, Range range, float* scores) {
    gemm({.m = range.size(),
          .n = kLanes,
          .k = s_.head_dim,
          .a = keys + (range.begin - origin) * s_.head_dim,
          .a_row = s_.head_dim,
          .a_col = 1,
          .b = g.queries,
          .c = scores,
          .c_row = kLanes});
  }

  void soften(Group& g) {
    softmax_columns({.s = g.scores,
                     .keys = g.end - g.first,
                     .first_key = g.first,
                     .position = g.lanes.position,
                     .window = int(s_.window),
                     .cap = s_.softcap,
                     .inverse_sum = g.inverse_sum});
  }

  void mix(Range strip) {
    load(*call_.values, run_.values, run_.value_rows, &Group::values, strip);
    for (dim i = 0; i < used_; ++i) {
      Group& g = groups_[std::size_t(i)];
      const Range decoded = decoded_part(g, g.values, strip), exact = exact_part(g, g.values, strip);
      const bool both = decoded.end > exact.begin && decoded.size() > 0 && exact.size() > 0;
      if (decoded.size() > 0)
        mix_part(g, scratch_.decoded, strip.begin, decoded, both ? weights(g, decoded, false) : nullptr);
      if (exact.size() > 0) mix_part(g, scratch_.exact, strip.begin, exact, both ? weights(g, exact, true) : nullptr);
    }
  }

  // The weights of a range with 0 where a lane reads the position in the other way.
  const float* weights(const Group& g, Range range, bool exact) {
    const float* from = scores_of(g, range.begin);
    for (dim p = range.begin; p < range.end; ++p)
      for (dim lane = 0; lane < kLanes; ++lane) {
        const dim at = (p - range.begin) * kLanes + lane;
        scratch_.masked[at] = (p >= g.values.of_lane[lane]) == exact ? from[at] : 0.0f;
      }
    return scratch_.masked;
  }

  void mix_part(const Group& g, const float* values, dim origin, Range range, const float* weights) {
    gemm({.m = s_.head_dim,
          .n = kLanes,
          .k = range.size(),
          .a = values + (range.begin - origin) * s_.head_dim,
          .a_row = 1,
          .a_col = s_.head_dim,
          .b = weights ? weights : scores_of(g, range.begin),
          .c = g.outputs,
          .c_row = kLanes,
          .add = true});
  }

  const KvAttentionCall& call_;
  const AttentionShape& s_;
  const KvQueryRun& run_;
  dim kv_head_;
  const Scratch& scratch_;
  std::array<Group, std::size_t(kMostGroups)> groups_;
  dim used_ = 0;
};

}  // namespace

void KvAttention::list_tasks(const AttentionShape& s, std::span<const KvQueryRun> runs, dim pairs) {
  tasks_.clear();
  dim cost = 0;
  const dim group = s.heads / s.kv_heads;
  for (std::size_t r = 0; r < runs.size(); ++r)
    for (dim kv = 0; kv < s.kv_heads; ++kv)
      for (dim pair = 0; pair < group * runs[r].count; pair += pairs) {
        tasks_.push_back({std::uint32_t(r), std::uint32_t(kv), pair, cost});
        const dim keys = runs[r].first_position + std::min(runs[r].count, pair % runs[r].count + pairs);
        cost += 16 + (s.window > 0 ? std::min(keys, s.window + pairs) : keys);
      }
  tasks_.push_back({0, 0, 0, cost});
}

void KvAttention::run(const KvAttentionCall& call, std::span<const KvQueryRun> runs, const float* q, float* out) {
  const AttentionShape& s = call.shape;
  PITH_CHECK(s.kv_heads > 0 && s.heads % s.kv_heads == 0);
  dim longest = 0, most_pairs = 0;
  for (const KvQueryRun& r : runs) {
    longest = std::max(longest, r.first_position + r.count);
    most_pairs = std::max(most_pairs, r.count * (s.heads / s.kv_heads));
  }
  const dim groups = std::clamp<dim>((most_pairs + kLanes - 1) / kLanes, 1, kMostGroups), pairs = groups * kLanes;
  list_tasks(s, runs, pairs);
  const dim each = Scratch::size(s.head_dim, longest, groups);
  scratch_.reserve(num_threads() * each * dim(sizeof(float)));
  const dim count = dim(tasks_.size()) - 1, total = tasks_.back().cost_before;
  const dim parts = std::clamp<dim>(total / grain_of(4 * groups * s.head_dim), 1, num_threads());
  const auto begin_of = [&](dim part) {  // equal shares of the work, which grows along a sequence
    const dim cost = total * part / parts;
    return std::lower_bound(tasks_.begin(), tasks_.begin() + count, cost,
                            [](const Task& t, dim c) { return t.cost_before < c; }) -
           tasks_.begin();
  };
  parallel_for(parts, [&](dim part) {
    const Scratch scratch(scratch_.as<float>() + part * each, s.head_dim, longest);
    const dim end = part + 1 == parts ? count : begin_of(part + 1);
    for (dim i = begin_of(part); i < end; ++i) {
      const Task& t = tasks_[std::size_t(i)];
      const KvQueryRun& run = runs[t.run];
      const dim left = run.count * (s.heads / s.kv_heads) - t.first_pair;
      TaskRun(call, run, t.kv_head, scratch)(t.first_pair, std::min(pairs, left), q, out);
    }
  });
}

}  // namespace pith
