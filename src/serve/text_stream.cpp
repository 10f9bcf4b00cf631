#include "serve/text_stream.h"

#include <algorithm>

namespace pith {

namespace {

// Length of the UTF-8 sequence that begins with this byte; 1 for bytes that begin none.
std::size_t sequence_length(unsigned char byte) {
  if (byte >= 0xf0 && byte < 0xf8) return 4;
  if (byte >= 0xe0) return byte < 0xf0 ? 3 : 1;
  return byte >= 0xc2 ? 2 : 1;
}

bool continues(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

// Bytes at the end of the text that may yet become a character.
std::size_t unfinished(std::string_view text) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
    const char byte = text[text.size() - back];
    if (continues(byte)) continue;
    return sequence_length(static_cast<unsigned char>(byte)) > back ? back : 0;
  }
  return 0;
}

// The longest end of the text that is the beginning of a stop string.
std::size_t possible_stop(std::string_view text, const std::vector<std::string>& stops) {
  std::size_t longest = 0;
  for (const std::string& stop : stops)
    for (std::size_t n = std::min(text.size(), stop.size()); n > longest; --n)
      if (text.ends_with(std::string_view(stop).substr(0, n))) longest = n;
  return longest;
}

}  // namespace

std::string repaired_utf8(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t n = sequence_length(static_cast<unsigned char>(text[i]));
    bool whole = i + n <= text.size() && (n > 1 || static_cast<unsigned char>(text[i]) < 0x80);
    for (std::size_t j = 1; whole && j < n; ++j) whole = continues(text[i + j]);
    if (whole)
      out.append(text.substr(i, n));
    else
      out.append("\xef\xbf\xbd");
    i += whole ? n : 1;
  }
  return out;
}

std::string TextStream::push(std::string_view bytes) {
  if (stopped_) return {};
  held_.append(bytes);
  std::size_t first = std::string::npos;
  for (const std::string& stop : stops_)
    if (!stop.empty()) first = std::min(first, held_.find(stop));
  if (first != std::string::npos) {
    stopped_ = true;
    const std::string out = repaired_utf8(std::string_view(held_).substr(0, first));
    held_.clear();
    return out;
  }
  const std::size_t keep = std::max(unfinished(held_), possible_stop(held_, stops_));
  const std::string out = repaired_utf8(std::string_view(held_).substr(0, held_.size() - keep));
  held_.erase(0, held_.size() - keep);
  return out;
}

std::string TextStream::finish() {
  const std::string out = repaired_utf8(held_);
  held_.clear();
  return out;
}

}  // namespace pith
