#include "io/safetensors/header.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "io/printable.h"

namespace pith {

namespace {

using nlohmann::json;

constexpr std::string_view kMetadataName = "__metadata__";

class HeaderReader {
 public:
  explicit HeaderReader(const std::string& where) : where_(where) {}
  SafetensorsHeader take() { return std::move(header_); }

  bool null() { throw unexpected("null"); }
  bool boolean(bool) { throw unexpected("a bool"); }
  bool number_float(json::number_float_t, const std::string& text) { throw unexpected("the number " + text); }
  bool number_integer(json::number_integer_t v) { throw unexpected(fmt::format("the number {}", v)); }
  bool binary(json::binary_t&) { throw unexpected("binary data"); }
  bool number_unsigned(json::number_unsigned_t v) {
    if (place_ != Place::shape && place_ != Place::offsets) throw unexpected(fmt::format("the number {}", v));
    if (v > std::uint64_t(std::numeric_limits<dim>::max()))
      throw input_error(where_, "{}: expected numbers below 2^63, got {}", what(), v);
    (place_ == Place::shape ? tensor_.shape : offsets_).push_back(dim(v));
    if (place_ == Place::offsets && offsets_.size() > 2)
      throw input_error(where_, "{}: expected two data_offsets, got more", what());
    return true;
  }
  bool string(std::string& v) {
    if (place_ == Place::metadata) {
      if (!header_.metadata.emplace(name_, std::move(v)).second) throw repeated(name_);
      return true;
    }
    if (place_ != Place::entry || field_ != "dtype") throw unexpected("the string " + printable(v));
    tensor_.dtype = std::move(v);
    return true;
  }
  bool start_object(std::size_t) {
    if (place_ == Place::outside) {
      place_ = Place::top;
    } else if (place_ == Place::top) {
      place_ = name_ == kMetadataName ? Place::metadata : Place::entry;
      tensor_ = SafeTensor{};
      tensor_.name = name_;
      offsets_.clear();
      fields_.clear();
    } else {
      throw unexpected("an object");
    }
    return true;
  }
  bool start_array(std::size_t) {
    if (place_ == Place::entry && field_ == "shape")
      place_ = Place::shape;
    else if (place_ == Place::entry && field_ == "data_offsets")
      place_ = Place::offsets;
    else
      throw unexpected("an array");
    return true;
  }
  bool end_array() {
    place_ = Place::entry;
    return true;
  }
  bool end_object() {
    if (place_ == Place::entry) finish_tensor();
    place_ = place_ == Place::top ? Place::outside : Place::top;
    return true;
  }
  bool key(std::string& name) {
    if (place_ == Place::entry) {
      if (name != "dtype" && name != "shape" && name != "data_offsets")
        throw input_error(where_, "{}: expected dtype, shape and data_offsets, got {}", what(), printable(name));
      if (!fields_.insert(name).second) throw repeated(name);
      field_ = std::move(name);
      return true;
    }
    if (place_ == Place::top && !names_.insert(name).second) throw repeated(name);
    name_ = std::move(name);
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& fault) {
    throw input_error(where_, "expected a JSON header, it breaks near byte {}: {}", position, fault.what());
  }

 private:
  enum class Place { outside, top, metadata, entry, shape, offsets };

  std::string what() const { return place_ == Place::outside ? "the header" : "tensor " + printable(name_); }
  Error unexpected(const std::string& got) const {
    const char* expected = "";
    switch (place_) {
      case Place::outside:
        expected = "a JSON object";
        break;
      case Place::top:
        expected = "an object that describes a tensor";
        break;
      case Place::metadata:
        expected = "strings as metadata";
        break;
      case Place::entry:
        expected = "dtype as a string, shape and data_offsets as arrays";
        break;
      case Place::shape:
        expected = "a shape of non-negative integers";
        break;
      case Place::offsets:
        expected = "data_offsets as two non-negative integers";
        break;
    }
    return input_error(where_, "{}: expected {}, got {}", what(), expected, got);
  }
  Error repeated(const std::string& name) const {
    return input_error(where_, "expected each name once in the header, {} is repeated", printable(name));
  }
  void finish_tensor();
  void check_size() const;

  const std::string& where_;
  SafetensorsHeader header_;
  Place place_ = Place::outside;
  std::set<std::string> names_;
  std::string name_;  // of the tensor or of the metadata
  std::string field_;
  std::set<std::string> fields_;
  SafeTensor tensor_;
  std::vector<dim> offsets_;
};

void HeaderReader::finish_tensor() {
  for (const char* field : {"dtype", "shape", "data_offsets"})
    if (!fields_.count(field)) throw input_error(where_, "{}: expected {}, it is missing", what(), field);
  if (offsets_.size() != 2) throw input_error(where_, "{}: expected two data_offsets, got {}", what(), offsets_.size());
  if (offsets_[1] < offsets_[0])
    throw input_error(where_, "{}: expected data_offsets in rising order, got [{}, {}]", what(), offsets_[0],
                      offsets_[1]);
  tensor_.offset_bytes = offsets_[0];
  tensor_.size_bytes = offsets_[1] - offsets_[0];
  check_size();
  header_.tensors.push_back(std::move(tensor_));
}

void HeaderReader::check_size() const {
  const dim bits = dtype_bits(tensor_.dtype);
  if (bits == 0) throw input_error(where_, "{}: unknown dtype {}", what(), printable(tensor_.dtype));
  dim total_bits = bits;
  for (const dim n : tensor_.shape) {
    if (n > 0 && total_bits > std::numeric_limits<dim>::max() / n)
      throw input_error(where_, "{}: expected a size below 2^63 bits, its shape overflows", what());
    total_bits *= n;
  }
  if (total_bits % 8 != 0)
    throw input_error(where_, "{}: expected whole bytes, its shape gives {} bits", what(), total_bits);
  if (total_bits / 8 != tensor_.size_bytes)
    throw input_error(where_, "{}: expected {} bytes for its shape and dtype, data_offsets give {}", what(),
                      total_bits / 8, tensor_.size_bytes);
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, const std::string& where) {
  if (text.find('\0') != text.npos) throw input_error(where, "expected a JSON header, got a NUL byte in it");
  HeaderReader reader(where);
  if (!json::sax_parse(text.begin(), text.end(), &reader)) throw input_error(where, "expected a JSON header");
  return reader.take();
}

dim dtype_bits(std::string_view dtype) {
  static constexpr struct {
    std::string_view name;
    dim bits;
  } kTypes[] = {{"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"BOOL", 8},        {"U8", 8},          {"I8", 8},
                {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
                {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
                {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}};
  for (const auto& t : kTypes)
    if (t.name == dtype) return t.bits;
  return 0;
}

}  // namespace pith
