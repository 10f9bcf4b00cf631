// Bytes set aside in temporary files without names, so that they take no memory while nobody reads them.
#pragma once
#include <deque>

#include "io/mapped_file.h"

namespace pith {

class Scratch {
 public:
  // The same bytes, readable as long as this object or what it was moved to lives. They stay in memory where they are
  // few, or where the folder for temporary files has no room.
  const std::byte* keep(Buffer bytes);
  void release(const std::byte* begin,
               dim size_bytes) const;  // as MappedFile::release; nothing for bytes not kept here

 private:
  std::deque<MappedFile> files_;
  std::deque<Buffer> memory_;
};

}  // namespace pith
