// What two threads share of one request: the model's thread writes, the one who asked reads.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "serve/generate.h"

namespace pith {

enum class TicketState { waiting, running, done, failed };

// Since the last look.
struct TicketNews {
  std::string text;
  std::vector<Token> tokens;
  std::vector<TokenScore> scores;         // of `tokens`, where they were asked for
  std::optional<TokenScore> end_score;    // of the token that ended the answer and is not shown
  std::vector<TokenScore> prompt_scores;  // of the prompt's tokens but the first, where they were asked for
  TicketState state = TicketState::waiting;
  StopReason reason = StopReason::max_tokens;  // when done
  std::string error;                           // when failed
  bool server_stopped = false;                 // the failure is that
  dim reused_tokens = 0;
  double writing_seconds = 0;  // from the first token to the last
  bool ended() const { return state == TicketState::done || state == TicketState::failed; }
};

class Ticket {
 public:
  // Everything new, after at most `patience` when there is nothing.
  TicketNews wait(std::chrono::milliseconds patience);
  void cancel() { cancelled_ = true; }  // nobody listens any more
  bool cancelled() const { return cancelled_; }

  // For the model's thread: `change` alters the news, under the lock.
  template <class Change>
  void tell(const Change& change) {
    {
      const std::lock_guard lock(mutex_);
      change(news_);
      fresh_ = true;
    }
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  TicketNews news_;
  bool fresh_ = false;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace pith
