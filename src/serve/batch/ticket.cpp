#include "serve/batch/ticket.h"

#include <utility>

namespace pith {

TicketNews Ticket::wait(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [&] { return fresh_ || news_.ended(); });
  fresh_ = false;
  TicketNews out = std::move(news_);
  news_ = {};
  news_.state = out.state;
  news_.reason = out.reason;
  news_.error = out.error;
  news_.server_stopped = out.server_stopped;
  news_.reused_tokens = out.reused_tokens;
  news_.writing_seconds = out.writing_seconds;
  return out;
}

}  // namespace pith
