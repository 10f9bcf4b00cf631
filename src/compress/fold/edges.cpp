#include "compress/fold/edges.h"

#include <numeric>

namespace pith {

namespace {

constexpr Role kAttentionReaders[] = {Role::attn_q, Role::attn_k, Role::attn_v, Role::attn_qkv};
constexpr Role kFeedForwardReaders[] = {Role::ffn_gate,    Role::ffn_up,    Role::ffn_gate_up,  Role::router,
                                        Role::shared_gate, Role::shared_up, Role::shared_router};
constexpr Role kExpertReaders[] = {Role::expert_gate, Role::expert_up};

class Finder {
 public:
  Finder(const Model& model, dim layer) : model_(model), config_(model.config()), layer_(layer) {}

  BlockEdges run() {
    const bool two = has(Role::attn_norm_2);
    const Role attention_norm = two ? Role::attn_norm_2 : Role::attn_norm;
    const Role own_norm = two ? Role::attn_norm : Role::ffn_norm;
    FoldEdge attention{.name = "attention input", .readers = {}, .makers = {}, .maker_row = {}, .norm = true};
    FoldEdge feed_forward = attention;
    feed_forward.name = "feed-forward input";
    add_readers(kAttentionReaders, attention.readers);
    const bool shared = config_.parallel_block && !has(own_norm);
    add_feed_forward_readers(shared ? attention.readers : feed_forward.readers);
    add_norm_edge(std::move(attention), attention_norm);
    if (!shared) add_norm_edge(std::move(feed_forward), own_norm);
    add_output_edge();
    add_down_edges();
    return std::move(out_);
  }

 private:
  bool has(Role role) const { return model_.find(role, layer_) != nullptr; }

  // Of a factored matrix: what reads the input.
  void add_reader(Role role, dim expert, std::vector<std::size_t>& to) const {
    add(role, model_.find(role, layer_, Part::inner, expert) ? Part::inner : Part::weight, expert, to);
  }
  void add(Role role, Part part, dim expert, std::vector<std::size_t>& to) const {
    if (const ModelTensor* t = model_.find(role, layer_, part, expert))
      to.push_back(std::size_t(t - model_.tensors().data()));
  }
  void add_maker(Role role, dim expert, FoldEdge& edge) const {
    add(role, Part::weight, expert, edge.makers);
    add(role, Part::bias, expert, edge.makers);
  }
  void add_readers(std::span<const Role> roles, std::vector<std::size_t>& to) const {
    for (const Role role : roles) add_reader(role, -1, to);
  }
  void add_feed_forward_readers(std::vector<std::size_t>& to) const {
    add_readers(kFeedForwardReaders, to);
    for (dim e = 0; e < config_.experts; ++e)
      for (const Role role : kExpertReaders) add_reader(role, e, to);
  }

  void add_norm_edge(FoldEdge edge, Role norm) {
    add_maker(norm, -1, edge);
    if (edge.readers.empty()) return;
    if (edge.makers.empty())
      out_.closed.push_back(std::string(edge.name) + ": no norm's weight makes it");
    else
      out_.edges.push_back(std::move(edge));
  }

  void add_edge(std::string_view name, Role maker, Role reader, dim expert, std::vector<dim> rows) {
    FoldEdge edge{.name = name, .readers = {}, .makers = {}, .maker_row = std::move(rows)};
    add_reader(reader, expert, edge.readers);
    add_maker(maker, expert, edge);
    if (!edge.readers.empty() && !edge.makers.empty()) out_.edges.push_back(std::move(edge));
  }

  // Row of head h, dimension d: the values of a fused projection, all heads having their own.
  std::vector<dim> value_rows() const {
    const bool by_head = config_.qkv_order == QkvOrder::by_head;
    const dim width = config_.head_dim;
    std::vector<dim> rows;
    for (dim h = 0; h < config_.heads; ++h)
      for (dim d = 0; d < width; ++d)
        rows.push_back(by_head ? (3 * h + 2) * width + d : (2 * config_.heads + h) * width + d);
    return rows;
  }

  void add_output_edge() {
    constexpr std::string_view kName = "attention output";
    if (config_.kv_heads != config_.heads)
      out_.closed.push_back(std::string(kName) + ": several heads read the same values");
    else if (has(Role::attn_qkv))
      add_edge(kName, Role::attn_qkv, Role::attn_o, -1, value_rows());
    else
      add_edge(kName, Role::attn_v, Role::attn_o, -1, {});
  }

  // act(gate) * up is linear in up; relu(up) can be scaled by anything above 0.
  void add_down_edges() {
    constexpr std::string_view kName = "feed-forward output";
    if (!config_.gated && config_.activation != Activation::relu) {
      out_.closed.push_back(std::string(kName) + ": the activation is not linear");
      return;
    }
    std::vector<dim> lower(std::size_t(has(Role::ffn_gate_up) ? config_.ffn : 0));
    std::iota(lower.begin(), lower.end(), config_.ffn);
    if (has(Role::ffn_gate_up)) add_edge(kName, Role::ffn_gate_up, Role::ffn_down, -1, std::move(lower));
    add_edge(kName, Role::ffn_up, Role::ffn_down, -1, {});
    add_edge(kName, Role::shared_up, Role::shared_down, -1, {});
    for (dim e = 0; e < config_.experts; ++e) add_edge(kName, Role::expert_up, Role::expert_down, e, {});
  }

  const Model& model_;
  const Config& config_;
  dim layer_;
  BlockEdges out_;
};

}  // namespace

BlockEdges fold_edges(const Model& model, dim layer) { return Finder(model, layer).run(); }

}  // namespace pith
