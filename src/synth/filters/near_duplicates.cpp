#include "synth/filters/near_duplicates.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/rng.h"

namespace pith::synth {

namespace {

constexpr dim kHashes = 128;
constexpr std::size_t kRun = 5;

std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool space = c == ' ' || (c >= '\t' && c <= '\r');
    if (!space)
      out += c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::uint64_t hash_of(std::string_view bytes) {  // FNV-1a, mixed
  std::uint64_t h = 0xcbf29ce484222325ull;
  for (const char c : bytes) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return mix64(h, 0);
}

// The longest bands, out of powers of two, that miss a pair at the threshold one time in a thousand at most.
dim rows_for(double threshold) {
  for (dim rows = 32; rows > 1; rows /= 2)
    if (std::pow(1 - std::pow(threshold, double(rows)), double(kHashes / rows)) <= 1e-3) return rows;
  return 1;
}

}  // namespace

DuplicateChoice duplicate_choice(std::string_view text) {
  const auto colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  DuplicateChoice out;
  if (name == "none" || name == "exact") {
    out.kind = name == "none" ? DuplicateKind::none : DuplicateKind::exact;
    if (colon == text.npos) return out;
  } else if (name == "minhash" || name == "rouge") {
    out.kind = name == "minhash" ? DuplicateKind::minhash : DuplicateKind::rouge;
    out.threshold = name == "minhash" ? 0.8 : 0.7;
    if (colon == text.npos) return out;
    const std::string_view number = text.substr(colon + 1);
    const auto [end, fault] = std::from_chars(number.data(), number.data() + number.size(), out.threshold);
    if (fault == std::errc() && end == number.data() + number.size() && out.threshold > 0 && out.threshold <= 1)
      return out;
  }
  throw input_error("dedup", "expected none, exact, minhash:T or rouge:T with a T above 0 and up to 1, got {}", text);
}

std::string text_of(const DuplicateChoice& choice) {
  switch (choice.kind) {
    case DuplicateKind::none:
      return "none";
    case DuplicateKind::exact:
      return "exact";
    case DuplicateKind::minhash:
      return fmt::format("minhash:{:g}", choice.threshold);
    case DuplicateKind::rouge:
      return fmt::format("rouge:{:g}", choice.threshold);
  }
  return "";
}

std::vector<std::uint64_t> shingles(std::string_view text) {
  const std::string bytes = plain(text);
  std::vector<std::size_t> starts;  // of characters
  for (std::size_t i = 0; i < bytes.size(); ++i)
    if ((static_cast<unsigned char>(bytes[i]) & 0xc0) != 0x80) starts.push_back(i);
  starts.push_back(bytes.size());
  std::vector<std::uint64_t> set;
  const std::size_t characters = starts.size() - 1;
  if (characters <= kRun) {
    set.push_back(hash_of(bytes));
  } else {
    for (std::size_t i = 0; i + kRun <= characters; ++i)
      set.push_back(hash_of(std::string_view(bytes).substr(starts[i], starts[i + kRun] - starts[i])));
  }
  std::sort(set.begin(), set.end());
  set.erase(std::unique(set.begin(), set.end()), set.end());
  return set;
}

double jaccard(const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b) {
  std::size_t common = 0;
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    if (a[i] == b[j])
      ++common, ++i, ++j;
    else if (a[i] < b[j])
      ++i;
    else
      ++j;
  }
  const std::size_t all = a.size() + b.size() - common;
  return all > 0 ? double(common) / double(all) : 1;
}

MinHashIndex::MinHashIndex(double threshold) : threshold_(threshold), rows_(rows_for(threshold)) {}

std::vector<std::uint64_t> MinHashIndex::bands_of(const std::vector<std::uint64_t>& set) const {
  std::vector<std::uint64_t> bands;
  for (dim first = 0; first < kHashes; first += rows_) {
    std::uint64_t band = std::uint64_t(first);
    for (dim k = first; k < first + rows_; ++k) {
      std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
      for (const std::uint64_t x : set) least = std::min(least, mix64(x, std::uint64_t(k)));
      band = mix64(band ^ least, std::uint64_t(k));
    }
    bands.push_back(band);
  }
  return bands;
}

double MinHashIndex::nearest(const std::vector<std::uint64_t>& set) const {
  double best = 0;
  std::set<std::size_t> tried;
  for (const std::uint64_t band : bands_of(set)) {
    const auto found = buckets_.find(band);
    if (found == buckets_.end()) continue;
    for (const std::size_t i : found->second)
      if (tried.insert(i).second) best = std::max(best, jaccard(set, sets_[i]));
  }
  return best >= threshold_ ? best : 0;
}

void MinHashIndex::add(std::vector<std::uint64_t> set) {
  for (const std::uint64_t band : bands_of(set)) buckets_[band].push_back(sets_.size());
  sets_.push_back(std::move(set));
}

std::string_view NearDuplicates::check(const std::string& text) {
  if (choice_.kind == DuplicateKind::none) return "";
  if (!exact_.insert(plain(text)).second) return "duplicate";
  if (choice_.kind == DuplicateKind::minhash) {
    std::vector<std::uint64_t> set = shingles(text);
    if (index_.nearest(set) > 0) return "near duplicate";
    index_.add(std::move(set));
  }
  if (choice_.kind == DuplicateKind::rouge) {
    if (pool_.nearest(text, choice_.threshold) > 0) return "near duplicate";
    pool_.add(text);
  }
  return "";
}

}  // namespace pith::synth
