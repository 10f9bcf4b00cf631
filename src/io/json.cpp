#include "io/json.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/error.h"
#include "io/printable.h"

namespace pith {

namespace {

using nlohmann::json;

// Builds the value while parsing, so that depth and keys are checked before anything is kept. The parser's own
// stack is on the heap, and so is this one.
class Builder {
 public:
  Builder(std::string_view where, const JsonLimits& limits) : where_(where), limits_(limits) {}
  json take() { return std::move(root_); }

  bool null() { return add(nullptr); }
  bool boolean(bool v) { return add(v); }
  bool number_integer(json::number_integer_t v) { return add(v); }
  bool number_unsigned(json::number_unsigned_t v) { return add(v); }
  bool number_float(json::number_float_t v, const std::string&) { return add(v); }
  bool string(std::string& v) { return add(std::move(v)); }
  bool binary(json::binary_t&) { return false; }
  bool start_object(std::size_t) { return open(json::object()); }
  bool start_array(std::size_t) { return open(json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(std::string& name) {
    const auto [at, fresh] = stack_.back()->get_ref<json::object_t&>().emplace(name, nullptr);
    if (!fresh && limits_.unique_keys)
      throw input_error(where_, "expected each key once in an object, {} is repeated", printable(name));
    slot_ = &at->second;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& fault) {
    throw input_error(where_, "expected JSON, it breaks near byte {}: {}", position, fault.what());
  }

 private:
  json* place(json value) {
    if (stack_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (stack_.back()->is_array()) {
      auto& items = stack_.back()->get_ref<json::array_t&>();
      items.push_back(std::move(value));
      return &items.back();
    }
    *slot_ = std::move(value);
    return slot_;
  }
  bool add(json value) {
    place(std::move(value));
    return true;
  }
  // A pointer on the stack stays valid: the array that holds it does not grow while it is open.
  bool open(json value) {
    if (int(stack_.size()) >= limits_.max_depth)
      throw input_error(where_, "expected at most {} nested levels of JSON", limits_.max_depth);
    stack_.push_back(place(std::move(value)));
    return true;
  }
  bool close() {
    stack_.pop_back();
    return true;
  }

  std::string_view where_;
  const JsonLimits& limits_;
  json root_;
  std::vector<json*> stack_;
  json* slot_ = nullptr;  // of the key read last
};

}  // namespace

json parse_json(std::string_view text, std::string_view where, const JsonLimits& limits) {
  if (dim(text.size()) > limits.max_bytes)
    throw input_error(where, "expected at most {} bytes of JSON, got {}", limits.max_bytes, text.size());
  // The parser would take a NUL for the end of the text.
  if (text.find('\0') != text.npos) throw input_error(where, "expected JSON, got a NUL byte in it");
  Builder builder(where, limits);
  if (!json::sax_parse(text.begin(), text.end(), &builder)) throw input_error(where, "expected JSON");
  return builder.take();
}

}  // namespace pith
