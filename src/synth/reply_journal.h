// What models have replied, in a file that only grows: a run that was killed asks again and gets the same replies at
// once. Entries are found by a hash over model and request, so a journal may serve several runs.
#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "core/stopwatch.h"
#include "io/stage/journal.h"
#include "synth/text_model.h"

namespace pith::synth {

class ReplyJournal {
 public:
  ReplyJournal() = default;  // in memory
  // Error(input) when the file is no such journal, Error(environment) when another run has it.
  explicit ReplyJournal(const std::filesystem::path& path);

  std::optional<Reply> reply(const std::string& key) const;
  std::optional<TextScore> score(const std::string& key) const;
  void keep(const std::string& key, const Reply& reply);
  void keep(const std::string& key, const TextScore& score);
  void sync();  // else within a second

 private:
  void keep_note(const std::string& key, std::string note);
  const std::string* note(const std::string& key) const;
  std::optional<StageJournal> file_;
  std::map<std::string, std::string, std::less<>> held_;  // where there is no file
  Clock::time_point synced_ = Clock::now();
};

std::string key_of(const ModelIdentity& model, const Request& request);
std::string key_of(const ModelIdentity& model, const ScoreRequest& request);

}  // namespace pith::synth
