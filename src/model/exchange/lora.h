// A low-rank adapter of a model's linear layers, to be merged: W += scale * B A, rows then as long as its magnitudes
// say. PEFT folders (adapter_config.json and adapter_model.safetensors) and GGUF adapters.
#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/model.h"

namespace pith {

class LoraAdapter {
 public:
  // Error(input) that names the key or the tensor when it is damaged, asks for more than such sums and lengths of their
  // rows (DoRA), such as whole modules or biases, or adapts a tensor that `base` does not have in that shape.
  static LoraAdapter open(const std::filesystem::path& path, const Model& base);
  LoraAdapter(LoraAdapter&&) noexcept;
  ~LoraAdapter();

  bool adapts(std::size_t tensor) const { return pairs_.contains(tensor); }  // index into base.tensors()
  std::size_t size() const { return pairs_.size(); }
  // Makes of a row of the base (in the order of its rows), cols values, what it is with the adapter.
  void apply(std::size_t tensor, dim row, float* values) const;
  // The files that decide what is added.
  const std::vector<std::filesystem::path>& files() const { return paths_; }

 private:
  struct Files;
  struct Pair {
    Encoded a, b;  // (rank, cols) and (rows, rank), views
    float scale = 1;
    std::vector<float> magnitudes;  // DoRA's lengths of rows, in b's order; empty: rows stay as they come
    std::vector<dim> rows_from;     // row r of the base is row rows_from[r] of b; empty: r
  };
  LoraAdapter();
  void open_peft(const std::filesystem::path& folder, const Model& base);
  void open_gguf_adapter(const std::filesystem::path& file, const Model& base);
  void take(const Model& base, bool hf, const std::string& weight, Pair pair);

  std::unique_ptr<Files> open_;
  std::vector<std::filesystem::path> paths_;
  std::map<std::size_t, Pair> pairs_;
};

}  // namespace pith
