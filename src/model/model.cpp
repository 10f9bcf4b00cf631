#include "model/model.h"

#include <functional>

#include "core/error.h"
#include "formats/sparse.h"
#include "model/model_impl.h"
#include "model/open/hf_folder.h"

namespace pith {

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

Model Model::open(const std::filesystem::path& path) {
  std::error_code fault;
  const auto status = std::filesystem::status(path, fault);
  if (!std::filesystem::exists(status))
    throw Error(Blame::input, path.string(), "expected a Hugging Face folder or a .gguf file, found nothing there");
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  const bool folder = std::filesystem::is_directory(status);
  if (folder)
    open_hf(path, *impl);
  else
    open_gguf(path, *impl);
  assemble(*impl, folder);
  return Model(std::move(impl));
}

Model Model::edited(const Model& model, std::function<void(Impl&)> edit) {
  Model out = open(model.path());
  out.impl_->edits = model.impl_->edits;
  out.impl_->edits.push_back(std::move(edit));
  for (const auto& each : out.impl_->edits) {
    each(*out.impl_);
    wire(*out.impl_);
  }
  return out;
}

const Config& Model::config() const { return impl_->config; }
const Arch& Model::arch() const { return *impl_->arch; }
std::span<const ModelTensor> Model::tensors() const { return impl_->tensors; }

const ModelTensor* Model::find(Role role, dim layer, Part part, dim expert) const {
  return impl_->find(role, layer, part, expert);
}

const ModelTensor* Model::inner_of(const ModelTensor& t) const { return pith::inner_of(*impl_, t); }

dim rows_of(const Linear& linear) { return weight_rows(*linear.weight); }
dim cols_of(const Linear& linear) { return weight_cols(linear.inner ? *linear.inner : *linear.weight); }

void Model::Impl::load_tokenizer() {
  std::call_once(tokenizer_once, [this] {
    try {
      tokenizer.emplace(gguf.empty() ? tokenizer_of_folder(path) : Tokenizer::from_gguf(gguf[0].meta()));
    } catch (const Error& e) {
      tokenizer_fault = e;
    }
  });
}

const Tokenizer& Model::tokenizer() const {
  impl_->load_tokenizer();
  if (impl_->tokenizer_fault) throw *impl_->tokenizer_fault;
  return *impl_->tokenizer;
}

bool Model::has_tokenizer() const {
  impl_->load_tokenizer();
  return impl_->tokenizer.has_value();
}

bool Model::own_tokenizer() const { return impl_->own_tokenizer; }

const Linear& Model::embed() const { return impl_->embed; }
const Linear& Model::pos_embed() const { return impl_->pos_embed; }
const Linear& Model::lm_head() const { return impl_->lm_head; }
const RunTime& Model::run_time() const { return impl_->run_time; }
const Norm& Model::output_norm() const { return impl_->output_norm; }
std::span<const Block> Model::blocks() const { return impl_->blocks; }

const std::filesystem::path& Model::path() const { return impl_->path; }
bool Model::is_gguf() const { return !impl_->gguf.empty(); }
const GgufMeta* Model::gguf_meta() const { return is_gguf() ? &impl_->gguf[0].meta() : nullptr; }
const std::string& Model::hf_config() const { return impl_->hf_config; }
const std::string& Model::hf_generation_config() const { return impl_->hf_generation_config; }

std::span<const std::string> Model::notes() const { return impl_->notes; }

void Model::release(const ModelTensor& t) const {
  if (t.sparse) {
    const SparseSizes sizes = sparse_sizes(*t.sparse);
    impl_->release(t.sparse->positions, sizes.positions);
    return impl_->release(t.sparse->values.data, sizes.values);
  }
  const std::byte* data = t.weight.data;
  if (!data || t.weight.rows == 0 || t.weight.cols == 0) return;
  impl_->release(data, t.weight.rows * row_bytes(*t.weight.format, t.weight.cols));
}

void Model::Impl::release(const std::byte* data, dim bytes) const {
  for_maps([&](const MappedFile& map) {
    const std::less_equal<const std::byte*> before;
    if (before(map.data(), data) && before(data + bytes, map.data() + map.size_bytes())) map.release(data, bytes);
  });
  scratch.release(data, bytes);
}

dim Model::file_bytes() const {
  dim bytes = 0;
  impl_->for_maps([&](const MappedFile& map) { bytes += map.size_bytes(); });
  return bytes;
}

void decode_row(const ModelTensor& t, dim row, float* out) {
  const Encoded& w = t.weight;
  if (t.sparse) return decode_sparse_row(*t.sparse, row, out);
  w.format->decode(*w.format, w.data + row * row_bytes(*w.format, w.cols), w.cols, out);
  if (t.outliers) add_row(*t.outliers, row, out);
}

dim bytes_of(const ModelTensor& t) {
  if (t.sparse) {
    const SparseSizes sizes = sparse_sizes(*t.sparse);
    return sizes.total() - sizes.row_starts;  // which are counted, not stored
  }
  return t.weight.rows * row_bytes(*t.weight.format, t.weight.cols) +
         (t.outliers ? sparse_sizes(*t.outliers).total() : 0);
}

}  // namespace pith
