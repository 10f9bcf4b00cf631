#include <algorithm>

#include "io/sha256.h"
#include "model/model_impl.h"

namespace pith {

namespace {

constexpr dim kChunkBytes = dim(8) << 20;
constexpr dim kEndBytes = dim(64) << 10;

void add_number(Sha256& sha, dim n) { sha.update(std::as_bytes(std::span(&n, 1))); }

void add_text(Sha256& sha, std::string_view text) {
  add_number(sha, dim(text.size()));
  sha.update(std::as_bytes(std::span(text.data(), text.size())));
}

void add_contents(Sha256& sha, const MappedFile& map, const std::stop_token& stop) {
  add_number(sha, map.size_bytes());
  for (dim at = 0; at < map.size_bytes() && !stop.stop_requested(); at += kChunkBytes) {
    const dim size = std::min(kChunkBytes, map.size_bytes() - at);
    sha.update({map.data() + at, std::size_t(size)});
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
Sha256 sha_of_names(const Model& model) {
  Sha256 sha;
  for (const ModelTensor& t : model.tensors()) add_text(sha, t.name);
  add_text(sha, model.hf_config());
  return sha;
}

}  // namespace

std::string Model::source_hash(std::stop_token stop) const {
  Sha256 sha = sha_of_names(*this);
  impl_->for_maps([&](const MappedFile& map) { add_contents(sha, map, stop); });
  return stop.stop_requested() ? std::string() : sha.hex();
}

std::string Model::source_stamp() const {
  Sha256 sha = sha_of_names(*this);
  impl_->for_maps([&](const MappedFile& map) { add_stamp(sha, map); });
  return sha.hex();
}

}  // namespace pith
