// A conversation with a model: what was read once stays in the cache for the next answer.
#pragma once
#include <filesystem>
#include <memory>

#include "serve/generate.h"

namespace pith {

class Session {
 public:
  // model and draft must outlive this. Error(input) when the draft has another vocabulary, or keys and values are
  // encoded (its rejected tokens could not be forgotten exactly).
  Session(const Model& model, const SessionOptions& options);
  ~Session();

  // Goes on from `prompt`. Error(input) when it is empty or longer than the context.
  GenerateResult generate(std::span<const Token> prompt, const GenerateOptions& options, const TextSink& sink);

  dim capacity() const;                   // tokens
  std::span<const Token> tokens() const;  // in the cache
  const KvSpec& kv() const;
  // Tokens with their keys and values (serve/prompt_cache.h). `load` is false, and `why` says why, when the file is
  // not there, damaged or of another model; nothing changes then.
  void save(const std::filesystem::path& path) const;
  bool load(const std::filesystem::path& path, std::string& why);

  struct Impl;  // session.cpp

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace pith
