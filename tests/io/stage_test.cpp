#include "io/stage.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

#include "core/rng.h"
#include "io/files.h"
#include "tests/io/bytes.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

using namespace test;
namespace fs = std::filesystem;

constexpr Stage::Options kFresh{};
constexpr Stage::Options kResume{true, false};
constexpr Stage::Options kOverwrite{false, true};

std::span<const std::byte> bytes_of(std::string_view s) { return std::as_bytes(std::span(s)); }

// All files below a folder and their bytes.
std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> out;
  for (const auto& e : fs::recursive_directory_iterator(folder))
    if (e.is_regular_file()) out[fs::relative(e.path(), folder).string()] = read_text_file(e.path());
  return out;
}

// What the tests stage: 8 pieces of 1000 bytes in two files, and a text.
constexpr int kPieces = 8;
std::string piece_bytes(int i) {
  std::string s;
  for (int j = 0; j < 1000; ++j) s += char(mix64(std::uint64_t(i), std::uint64_t(j)));
  return s;
}
// Returns how many pieces an earlier run had finished.
int stage_folder(const fs::path& target, Stage::Options options, int pause_us = 0) {
  Stage stage(target, Stage::Kind::folder, "fingerprint", options);
  stage.add_file("one.bin", 4000);
  stage.add_file("two.bin", 4000);
  int found = 0;
  for (int i = 0; i < kPieces; ++i) {
    const std::string name = "piece " + std::to_string(i);
    if (stage.recorded(name)) {
      ++found;
      continue;
    }
    const std::string bytes = piece_bytes(i);
    for (dim at = 0; at < 1000; at += 250) {  // in steps, so that a kill can fall between
      stage.write(i < 4 ? "one.bin" : "two.bin", i % 4 * 1000 + at, bytes_of(bytes).subspan(std::size_t(at), 250));
      if (pause_us) usleep(useconds_t(pause_us));
    }
    stage.record(name, "note");
  }
  stage.write_text("config.json", "{}\n");
  stage.commit();
  return found;
}
std::map<std::string, std::string> expected_folder() {
  std::string one, two;
  for (int i = 0; i < 4; ++i) {
    one += piece_bytes(i);
    two += piece_bytes(i + 4);
  }
  return {{"one.bin", one}, {"two.bin", two}, {"config.json", "{}\n"}};
}

TEST(Stage, Folder) {
  const TempFolder temp;
  const fs::path target = temp.path / "new" / "model/";  // parents are made; the slash does not matter
  EXPECT_EQ(stage_folder(target, kFresh), 0);
  EXPECT_EQ(contents(temp.path / "new" / "model"), expected_folder());
  EXPECT_EQ(std::distance(fs::directory_iterator(temp.path / "new"), fs::directory_iterator()), 1);  // nothing is left
}

TEST(Stage, File) {
  const TempFolder temp;
  const fs::path target = temp.path / "model.gguf";
  {
    Stage stage(target, Stage::Kind::file, "f", kFresh);
    stage.add_file("model.gguf", 10);
    stage.write("model.gguf", 4, bytes_of("abc"));
    EXPECT_FALSE(fs::exists(target));
    EXPECT_EQ(read_text_file(stage.folder() / "model.gguf"), std::string("\0\0\0\0abc\0\0\0", 10));
    stage.commit();
  }
  EXPECT_EQ(contents(temp.path),
            (std::map<std::string, std::string>{{"model.gguf", std::string("\0\0\0\0abc\0\0\0", 10)}}));
}

TEST(Stage, WithoutCommitNothingHasTheName) {
  const TempFolder temp;
  for (const auto kind : {Stage::Kind::file, Stage::Kind::folder}) {
    Stage stage(temp.path / "out", kind, "f", kFresh);
    stage.add_file("out", 5);
    stage.write("out", 0, bytes_of("12345"));
    stage.record("all");
  }
  EXPECT_FALSE(fs::exists(temp.path / "out"));
}

TEST(Stage, ResumeGoesOn) {
  const TempFolder temp;
  const fs::path target = temp.path / "out";
  const std::string odd = "a piece\twith \\ and\nlines";
  {
    Stage stage(target, Stage::Kind::file, "f\n1", kFresh);
    stage.add_file("out", 6);
    stage.write("out", 0, bytes_of("abc"));
    stage.record("first", "note 1");
    stage.record(odd, odd);
    stage.record("first", "note 2");
  }
  Stage stage(target, Stage::Kind::file, "f\n1", kResume);
  ASSERT_NE(stage.recorded("first"), nullptr);
  EXPECT_EQ(*stage.recorded("first"), "note 2");
  ASSERT_NE(stage.recorded(odd), nullptr);
  EXPECT_EQ(*stage.recorded(odd), odd);
  EXPECT_EQ(stage.recorded("second"), nullptr);
  stage.add_file("out", 6);
  stage.write("out", 3, bytes_of("def"));
  stage.commit();
  EXPECT_EQ(read_text_file(target), "abcdef");
}

TEST(Stage, WithoutResumeOneStartsAfresh) {
  const TempFolder temp;
  {
    Stage stage(temp.path / "out", Stage::Kind::folder, "f", kFresh);
    stage.add_file("a", 3);
    stage.write("a", 0, bytes_of("old"));
    stage.add_file("left over", 3);
    stage.record("piece");
  }
  Stage stage(temp.path / "out", Stage::Kind::folder, "f", kFresh);
  EXPECT_EQ(stage.recorded("piece"), nullptr);
  stage.add_file("a", 3);
  stage.commit();
  EXPECT_EQ(contents(temp.path / "out"), (std::map<std::string, std::string>{{"a", zeros(3)}}));
}

TEST(Stage, ResumeRefusesOtherWork) {
  const TempFolder temp;
  const fs::path target = temp.path / "out";
  {
    Stage stage(target, Stage::Kind::file, "one", kFresh);
    stage.add_file("out", 6);
    stage.record("piece");
  }
  EXPECT_NE(message_of([&] { Stage(target, Stage::Kind::file, "two", kResume); }).find("other settings"),
            std::string::npos);
  {
    Stage stage(target, Stage::Kind::file, "one", kResume);
    EXPECT_NE(message_of([&] { stage.add_file("out", 7); }).find("the earlier run planned 6"), std::string::npos);
  }
  std::ofstream(temp.path / ".out.pith-partial" / "out") << "short";
  Stage stage(target, Stage::Kind::file, "one", kResume);
  const std::string message = message_of([&] { stage.add_file("out", 6); }, Blame::environment);
  EXPECT_NE(message.find("expected 6 bytes from the earlier run, got 5"), std::string::npos) << message;
}

TEST(Stage, ResumeOfNothingStarts) {
  const TempFolder temp;
  EXPECT_EQ(stage_folder(temp.path / "out", kResume), 0);
  EXPECT_EQ(contents(temp.path / "out"), expected_folder());
}

// The journal cut at every length: a torn line counts for nothing, the lines before it do.
TEST(Stage, TornJournal) {
  const TempFolder temp;
  const fs::path target = temp.path / "out";
  const fs::path journal = temp.path / ".out.pith-partial" / ".pith-journal";
  {
    Stage stage(target, Stage::Kind::file, "f", kFresh);
    stage.add_file("out", 4);
    stage.write("out", 0, bytes_of("ab"));
    stage.record("1", "x");
    stage.record("2", "y");
  }
  const std::string whole = read_text_file(journal);
  std::vector<std::size_t> line_ends;
  for (std::size_t i = 0; i < whole.size(); ++i)
    if (whole[i] == '\n') line_ends.push_back(i + 1);
  ASSERT_EQ(line_ends.size(), 4u);  // start, file, two pieces
  for (std::size_t n = whole.size(); n > 0; --n) {
    SCOPED_TRACE(n);
    std::ofstream(journal, std::ios::binary) << whole.substr(0, n);
    std::ofstream(temp.path / ".out.pith-partial" / "out", std::ios::binary) << "abcd";
    Stage stage(target, Stage::Kind::file, "f", kResume);
    EXPECT_EQ(stage.recorded("1") != nullptr, n >= line_ends[2]);
    EXPECT_EQ(stage.recorded("2") != nullptr, n >= line_ends[3]);
    // What was torn is cut off, so that the next line is whole again.
    stage.record("3");
    EXPECT_EQ(read_text_file(journal).find("3\t\t"),
              read_text_file(journal).rfind('\n', read_text_file(journal).size() - 2) + 3);
  }
  std::string damaged = whole;
  damaged[line_ends[1] + 2] ^= 1;  // the name of piece 1
  std::ofstream(journal, std::ios::binary) << damaged;
  Stage stage(target, Stage::Kind::file, "f", kResume);
  EXPECT_EQ(stage.recorded("1"), nullptr);
  EXPECT_EQ(stage.recorded("0"), nullptr);
  EXPECT_EQ(stage.recorded("2"), nullptr);
}

TEST(Stage, KilledAtAnyMomentItGoesOn) {
  const auto run_child = [](const fs::path& target) {
    const pid_t child = fork();
    if (child != 0) return child;
    try {
      stage_folder(target, kResume, 200);
    } catch (...) {
      _exit(1);
    }
    _exit(0);
  };
  const auto start = std::chrono::steady_clock::now();
  {
    const TempFolder temp;
    int status = 0;
    const pid_t child = run_child(temp.path / "out");
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  const std::chrono::duration<double, std::micro> whole_run = std::chrono::steady_clock::now() - start;

  Rng rng(20);  // the moments of the kills
  int died = 0, resumed = 0;
  for (int round = 0; round < 24; ++round) {
    SCOPED_TRACE(round);
    const TempFolder temp;
    const fs::path target = temp.path / "out";
    for (int kills = round % 3; kills >= 0; --kills) {  // up to three kills of the same work
      const pid_t child = run_child(target);
      ASSERT_GE(child, 0);
      usleep(useconds_t(rng.uniform() * whole_run.count()));
      kill(child, SIGKILL);
      int status = 0;
      ASSERT_EQ(waitpid(child, &status, 0), child);
      died += WIFSIGNALED(status);
      EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
      if (!fs::exists(target)) continue;
      EXPECT_EQ(contents(target), expected_folder());  // there, so whole
      break;
    }
    if (!fs::exists(target)) resumed += stage_folder(target, kResume) > 0;
    EXPECT_EQ(contents(target), expected_folder());
  }
  EXPECT_GT(died, 12);
  EXPECT_GT(resumed, 3);
}

TEST(Stage, TargetsThatExist) {
  const TempFolder temp;
  std::ofstream(temp.path / "file") << "old";
  fs::create_directories(temp.path / "folder");
  std::ofstream(temp.path / "folder" / "old") << "old";
  fs::create_directories(temp.path / "home" / "sub");
  const auto refused = [&](const char* name, Stage::Kind kind, Stage::Options options) {
    return message_of([&] { Stage(temp.path / name, kind, "f", options); });
  };
  EXPECT_NE(refused("file", Stage::Kind::file, kFresh).find("exists already"), std::string::npos);
  EXPECT_NE(refused("folder", Stage::Kind::folder, kFresh).find("exists already"), std::string::npos);
  EXPECT_NE(refused("folder", Stage::Kind::file, kOverwrite).find("expected a file to overwrite"), std::string::npos);
  EXPECT_NE(refused("file", Stage::Kind::folder, kOverwrite).find("expected a folder to overwrite"), std::string::npos);
  EXPECT_NE(refused("home", Stage::Kind::folder, kOverwrite).find("folders in it"), std::string::npos);
  EXPECT_NE(refused("..", Stage::Kind::folder, kFresh).find("exists already"), std::string::npos);
  message_of([] { Stage("/", Stage::Kind::folder, "f", kOverwrite); });

  {
    Stage stage(temp.path / "file", Stage::Kind::file, "f", kOverwrite);
    stage.add_file("file", 3);
    stage.write("file", 0, bytes_of("new"));
    EXPECT_EQ(read_text_file(temp.path / "file"), "old");
    stage.commit();
  }
  {
    Stage stage(temp.path / "folder", Stage::Kind::folder, "f", kOverwrite);
    stage.write_text("fresh", "new");
    EXPECT_TRUE(fs::exists(temp.path / "folder" / "old"));
    stage.commit();
  }
  fs::remove_all(temp.path / "home");
  EXPECT_EQ(contents(temp.path), (std::map<std::string, std::string>{{"file", "new"}, {"folder/fresh", "new"}}));
}

TEST(Stage, TargetThatAppearsMeanwhileIsKept) {
  const TempFolder temp;
  Stage stage(temp.path / "out", Stage::Kind::file, "f", kFresh);
  stage.add_file("out", 3);
  std::ofstream(temp.path / "out") << "somebody's";
  EXPECT_NE(message_of([&] { stage.commit(); }).find("exists already"), std::string::npos);
  EXPECT_EQ(read_text_file(temp.path / "out"), "somebody's");
}

// A kill between the swap of two folders and the removal of the old one leaves the old one in the stage, beside a
// journal of the new one. It must not be taken for work to go on with.
TEST(Stage, KilledAfterTheSwap) {
  const TempFolder temp;
  const fs::path target = temp.path / "out", partial = temp.path / ".out.pith-partial";
  fs::create_directories(target);
  std::ofstream(target / "a") << "old";
  std::string journal;
  {
    Stage stage(target, Stage::Kind::folder, "f", kOverwrite);
    stage.add_file("a", 3);
    stage.write("a", 0, bytes_of("new"));
    stage.record("all");
    // The last line that commit writes: the inode of the folder that is to get the name.
    struct stat status {};
    ASSERT_EQ(stat(stage.folder().c_str(), &status), 0);
    std::uint64_t h = 0xcbf29ce484222325ull;
    const std::string line = fmt::format("c\t{}\t", status.st_ino);
    for (const char c : line) h = (h ^ std::uint8_t(c)) * 0x100000001b3ull;
    journal = read_text_file(partial / ".pith-journal") + fmt::format("{}\t{:016x}\n", line, h);
  }
  std::ofstream(partial / ".pith-journal") << journal;
  {  // killed before the swap: the work is all there
    Stage stage(target, Stage::Kind::folder, "f", {true, true});
    EXPECT_NE(stage.recorded("all"), nullptr);
  }
  fs::rename(target, temp.path / "aside");
  fs::rename(partial / "out", target);
  fs::rename(temp.path / "aside", partial / "out");
  Stage stage(target, Stage::Kind::folder, "f", {true, true});
  EXPECT_EQ(stage.recorded("all"), nullptr);
  stage.add_file("a", 3);
  stage.write("a", 0, bytes_of("two"));
  stage.commit();
  EXPECT_EQ(read_text_file(target / "a"), "two");
}

TEST(Stage, TwoRunsDoNotMix) {
  const TempFolder temp;
  Stage first(temp.path / "out", Stage::Kind::file, "f", kFresh);
  const std::string message =
      message_of([&] { Stage(temp.path / "out", Stage::Kind::file, "f", kFresh); }, Blame::environment);
  EXPECT_NE(message.find("another run"), std::string::npos) << message;
  Stage other(temp.path / "other", Stage::Kind::file, "f", kFresh);
}

TEST(Stage, NoRoom) {
  const TempFolder temp;
  Stage stage(temp.path / "out", Stage::Kind::file, "f", kFresh);
  const std::string message = message_of([&] { stage.add_file("out", dim(1) << 60); }, Blame::environment);
  EXPECT_NE(message.find("expected room for 1152921504606846976 bytes"), std::string::npos) << message;
  EXPECT_NE(message.find("free some space"), std::string::npos) << message;
  EXPECT_FALSE(fs::exists(temp.path / "out"));
}

// A limit on the size of files stands in for a disk that fills up: reserving and writing fail alike.
TEST(Stage, DiskFillsUp) {
  const TempFolder temp;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{10'000, 10'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    int faults = 0;
    try {
      Stage stage(temp.path / "out", Stage::Kind::folder, "f", kFresh);
      stage.add_file("small", 9'000);
      try {
        stage.add_file("large", 20'000);
      } catch (const Error& e) {
        faults += e.blame() == Blame::environment && std::string(e.what()).find("expected room") != std::string::npos;
      }
      try {
        stage.write_text("text", std::string(20'000, 'x'));
      } catch (const Error& e) {
        faults += e.blame() == Blame::environment && std::string(e.what()).find("File too large") != std::string::npos;
      }
    } catch (...) {
      _exit(100);
    }
    _exit(faults);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 2);
  EXPECT_FALSE(fs::exists(temp.path / "out"));
}

TEST(Stage, NamesAreChecked) {
  const TempFolder temp;
  Stage stage(temp.path / "out", Stage::Kind::folder, "f", kFresh);
  for (const char* name : {"", ".", "..", "a/b", "../x", "/etc/x"}) {
    message_of([&] { stage.add_file(name, 1); });
    message_of([&] { stage.write_text(name, "x"); });
  }
  Stage one(temp.path / "one", Stage::Kind::file, "f", kFresh);
  EXPECT_THROW(one.add_file("two", 1), InternalError);
  EXPECT_THROW(stage.write("unknown", 0, {}), InternalError);
  stage.add_file("a", 3);
  EXPECT_THROW(stage.write("a", 2, bytes_of("xy")), InternalError);
  EXPECT_THROW(stage.write("a", -1, bytes_of("x")), InternalError);
  EXPECT_THROW(one.commit(), InternalError);
}

TEST(Stage, FreeBytes) {
  const TempFolder temp;
  const dim here = Stage::free_bytes(temp.path);
  EXPECT_GT(here, 0);
  EXPECT_NEAR(double(Stage::free_bytes(temp.path / "not" / "yet" / "there")), double(here), 0.5 * double(here));
  EXPECT_GT(Stage::free_bytes("relative"), 0);
}

}  // namespace
}  // namespace pith
