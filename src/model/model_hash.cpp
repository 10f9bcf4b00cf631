#include <algorithm>

#include "io/content_hash.h"
#include "io/sha256.h"
#include "model/model_impl.h"

namespace pith {

namespace {

constexpr dim kChunkBytes = dim(8) << 20;
constexpr dim kEndBytes = dim(64) << 10;

template <class Hash>
void add_number(Hash& hash, dim n) {
  hash.update(std::as_bytes(std::span(&n, 1)));
}

template <class Hash>
void add_text(Hash& hash, std::string_view text) {
  add_number(hash, dim(text.size()));
  hash.update(std::as_bytes(std::span(text.data(), text.size())));
}

void add_contents(ContentHash& hash, const MappedFile& map, const std::stop_token& stop) {
  add_number(hash, map.size_bytes());
  for (dim at = 0; at < map.size_bytes() && !stop.stop_requested(); at += kChunkBytes) {
    const dim size = std::min(kChunkBytes, map.size_bytes() - at);
    hash.update({map.data() + at, std::size_t(size)});
    map.release(map.data() + at, size);
  }
}

void add_stamp(Sha256& sha, const MappedFile& map) {
  add_number(sha, map.size_bytes());
  add_number(sha, map.modified_ns());
  const std::span<const std::byte> bytes(map.data(), std::size_t(map.size_bytes()));
  const std::size_t end = std::min(bytes.size(), std::size_t(kEndBytes));
  sha.update(bytes.first(end));
  sha.update(bytes.last(end));
}

// Names of tensors rather than of files, so that a renamed file is the same model.
template <class Hash>
Hash hash_of_names(const Model& model) {
  Hash hash;
  for (const ModelTensor& t : model.tensors()) add_text(hash, t.name);
  add_text(hash, model.hf_config());
  return hash;
}

}  // namespace

std::string Model::source_hash(std::stop_token stop) const {
  auto hash = hash_of_names<ContentHash>(*this);
  impl_->for_maps([&](const MappedFile& map) { add_contents(hash, map, stop); });
  return stop.stop_requested() ? std::string() : hash.hex();
}

std::string Model::source_stamp() const {
  auto sha = hash_of_names<Sha256>(*this);
  impl_->for_maps([&](const MappedFile& map) { add_stamp(sha, map); });
  return sha.hex();
}

}  // namespace pith
