#include "compress/fingerprint.h"

#include <openssl/evp.h>

#include <fstream>
#include <memory>
#include <vector>

#include "core/error.h"

namespace pith {

namespace {

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    PITH_CHECK(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }
  void add(const void* data, std::size_t size_bytes) {
    PITH_CHECK(EVP_DigestUpdate(context_.get(), data, size_bytes) == 1);
  }
  // Each with its length, so that no two lists of texts are the same bytes.
  void add_text(std::string_view text) {
    add_number(dim(text.size()));
    add(text.data(), text.size());
  }
  void add_number(dim n) { add(&n, sizeof n); }
  std::string hex() {
    unsigned char digest[32];
    unsigned size = 0;
    PITH_CHECK(EVP_DigestFinal_ex(context_.get(), digest, &size) == 1 && size == sizeof digest);
    std::string out;
    for (const unsigned char byte : digest) out += fmt::format("{:02x}", byte);
    return out;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

}  // namespace

std::string sha256_of_files(std::span<const std::filesystem::path> files) {
  Sha256 sha;
  std::vector<char> chunk(std::size_t(1) << 20);
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    if (!in) throw environment_error(file.string(), "expected a readable file");
    while (in.read(chunk.data(), std::streamsize(chunk.size())) || in.gcount() > 0)
      sha.add(chunk.data(), std::size_t(in.gcount()));
    if (in.bad()) throw environment_error(file.string(), "reading failed");
  }
  return sha.hex();
}

std::string fingerprint(const std::string& source_hash, const Recipe& recipe, const Prepared& prepared) {
  Sha256 sha;
  sha.add_text(PITH_VERSION);
  sha.add_text(source_hash);
  sha.add_text(prepared.method->name);
  for (const auto& [name, value] : prepared.options.all()) {
    sha.add_text(name);
    sha.add_text(value);
  }
  sha.add_number(recipe.dither.on);
  sha.add_number(dim(recipe.dither.seed));
  if (recipe.importance_file) sha.add_text(sha256_of_files(std::span(&*recipe.importance_file, 1)));
  for (const ExportFile& file : prepared.plan.files) {
    sha.add_text(file.name);
    sha.add_text(file.head);
    sha.add_number(file.total_bytes);
  }
  for (const SideFile& file : prepared.plan.side_files) {
    sha.add_text(file.name);
    sha.add_text(file.text);
  }
  for (const ExportTensor& t : prepared.plan.tensors) {
    sha.add_number(dim(t.source));
    sha.add_text(t.format->name);
    sha.add(&t.add, sizeof t.add);
    sha.add_number(t.transpose);
    sha.add_number(dim(t.rows_from.size()));
    sha.add(t.rows_from.data(), t.rows_from.size() * sizeof(dim));
    for (const Slot& slot : t.slots) {
      sha.add_text(slot.name);
      sha.add_number(dim(slot.file));
      sha.add_number(slot.offset_bytes);
      sha.add_number(slot.size_bytes);
    }
  }
  return sha.hex();
}

}  // namespace pith
