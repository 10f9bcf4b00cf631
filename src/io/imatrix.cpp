#include "io/imatrix.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "core/error.h"
#include "io/cursor.h"
#include "io/gguf.h"
#include "io/printable.h"

namespace pith {

namespace {

constexpr std::string_view kSumsSuffix = ".in_sum2";
constexpr std::string_view kCountsSuffix = ".counts";
constexpr int kTypeF32 = 0;
constexpr dim kLeastEntryBytes = 4 + 1 + 4 + 4 + 4;

float checked(double v, const std::string& where, std::string_view tensor) {
  const auto f = float(v);
  if (!std::isfinite(f) || f < 0)
    throw input_error(where, "tensor {}: expected finite values, zero or more, got {}", printable(tensor), f);
  return f;
}

// int32 entries; each: int32 name bytes, name, int32 calls, int32 count, f32 values (sums over the calls of means).
// Then, in newer files: int32 last call, int32 name bytes, name of the data set.
Imatrix parse_legacy(Cursor& in) {
  const auto positive = [&](std::string_view what) {
    const auto v = in.number<std::int32_t>(what);
    if (v <= 0) throw input_error(in.where(), "expected a positive {}, got {}", what, v);
    return std::uint64_t(v);
  };
  const std::uint64_t entries = positive("number of entries");
  in.require(entries, kLeastEntryBytes, "entries");
  Imatrix out;
  for (std::uint64_t e = 0; e < entries; ++e) {
    const std::string name(in.text(positive("length of a name"), "name"));
    const auto calls = in.number<std::int32_t>("calls");
    if (calls < 0) throw input_error(in.where(), "tensor {}: expected 0 calls or more, got {}", printable(name), calls);
    const std::uint64_t count = positive("number of values");
    in.require(count, sizeof(float), "values");
    std::vector<float> values;
    values.reserve(std::size_t(count));
    for (std::uint64_t i = 0; i < count; ++i)
      values.push_back(checked(double(in.number<float>("value")) / std::max(calls, 1), in.where(), name));
    if (!out.mean_squares.emplace(name, std::move(values)).second)
      throw input_error(in.where(), "expected each tensor once, {} is repeated", printable(name));
  }
  if (in.remaining() == 0) return out;
  in.number<std::int32_t>("last call");
  const auto size = in.number<std::int32_t>("length of the data set's name");
  if (size < 0) throw input_error(in.where(), "expected the length of the data set's name, got {}", size);
  if (size > 0) out.datasets.emplace_back(in.text(std::uint64_t(size), "name of the data set"));
  return out;
}

const float* values_of(const GgufFile& file, const GgufTensor& t, dim count, const std::string& where) {
  if (t.type != kTypeF32 || t.size_bytes != count * dim(sizeof(float)))
    throw input_error(where, "tensor {}: expected {} values of F32", printable(t.name), count);
  return reinterpret_cast<const float*>(file.data(t));
}

// A sum of squares per column and a count of rows, per matrix (experts have one matrix each).
std::vector<float> mean_of(const GgufFile& file, const GgufTensor& sums, const GgufTensor& counts,
                           const std::string& where) {
  dim elements = 1;
  for (const dim n : sums.shape) elements *= n;  // fits: the reader checked it
  const dim cols = sums.shape.empty() ? 1 : sums.shape[0];
  const dim matrices = elements / cols;
  const float* sum = values_of(file, sums, elements, where);
  const float* count = values_of(file, counts, matrices, where);
  std::vector<float> out;
  out.reserve(std::size_t(elements));
  for (dim m = 0; m < matrices; ++m) {
    const float rows = checked(count[m], where, counts.name);
    for (dim c = 0; c < cols; ++c) {
      const float total = checked(sum[m * cols + c], where, sums.name);
      // A matrix that saw no input tells nothing: all its columns count alike.
      out.push_back(rows > 0 ? checked(double(total) / rows, where, sums.name) : 1.0f);
    }
  }
  return out;
}

Imatrix parse_gguf(MappedFile bytes, const std::string& where) {
  const GgufFile file = GgufFile::parse(std::move(bytes), where);
  Imatrix out;
  if (file.meta().has("imatrix.datasets")) out.datasets = file.meta().get_strings("imatrix.datasets");
  for (const GgufTensor& t : file.tensors()) {
    const std::string_view full = t.name;
    if (full.ends_with(kCountsSuffix)) {
      const std::string base(full.substr(0, full.size() - kCountsSuffix.size()));
      if (!file.find(base + std::string(kSumsSuffix)))
        throw input_error(where, "tensor {}: expected {} beside it", printable(full), printable(base + ".in_sum2"));
    }
    if (!full.ends_with(kSumsSuffix)) continue;
    const std::string name(full.substr(0, full.size() - kSumsSuffix.size()));
    const GgufTensor* counts = file.find(name + std::string(kCountsSuffix));
    if (!counts)
      throw input_error(where, "tensor {}: expected {} beside it", printable(full), printable(name + ".counts"));
    out.mean_squares.emplace(name, mean_of(file, t, *counts, where));
  }
  if (out.mean_squares.empty())
    throw input_error(where, "expected an importance matrix, the file has no tensors named *.in_sum2");
  return out;
}

}  // namespace

Imatrix parse_imatrix(MappedFile file, const std::string& where) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), std::size_t(file.size_bytes()));
  if (text.starts_with("GGUF")) return parse_gguf(std::move(file), where);
  Cursor in({file.data(), std::size_t(file.size_bytes())}, where);
  return parse_legacy(in);
}

Imatrix read_imatrix(const std::filesystem::path& path) { return parse_imatrix(MappedFile(path), path.string()); }

namespace {

std::uint32_t as_u32(dim n) {
  PITH_CHECK(0 <= n && n <= std::numeric_limits<std::uint32_t>::max());
  return std::uint32_t(n);
}

GgufTensor f32_tensor(std::string name, std::vector<dim> shape, dim values) {
  return {std::move(name), std::move(shape), kTypeF32, 0, values * dim(sizeof(float))};
}

}  // namespace

std::string imatrix_gguf(const ImatrixContents& contents) {
  GgufMeta meta;
  meta.set("general.type", std::string("imatrix"));
  meta.set("imatrix.datasets", GgufArray{contents.datasets});
  meta.set("imatrix.chunk_count", as_u32(contents.chunks));
  meta.set("imatrix.chunk_size", as_u32(contents.chunk_tokens));
  std::vector<GgufTensor> tensors;
  std::vector<const std::vector<float>*> values;
  for (const ImatrixEntry& e : contents.entries) {
    const dim matrices = dim(e.counts.size());
    PITH_CHECK(matrices > 0 && dim(e.sums.size()) == matrices * e.cols);
    tensors.push_back(f32_tensor(e.name + std::string(kSumsSuffix), {e.cols, matrices}, dim(e.sums.size())));
    tensors.push_back(f32_tensor(e.name + std::string(kCountsSuffix), {1, matrices}, matrices));
    values.insert(values.end(), {&e.sums, &e.counts});
  }
  FileLayout layout = gguf_layout(meta, tensors);
  std::string bytes = std::move(layout.head);
  bytes.resize(std::size_t(layout.total_bytes), '\0');
  for (std::size_t i = 0; i < tensors.size(); ++i)
    std::memcpy(bytes.data() + layout.offsets_bytes[i], values[i]->data(), values[i]->size() * sizeof(float));
  return bytes;
}

}  // namespace pith
