#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

#include "io/stage.h"
#include "tests/io/bytes.h"
#include "tests/io/stage_work.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

using namespace test;

// The journal cut at every length: a torn line counts for nothing, the lines before it do.
TEST(StageCrash, TornJournal) {
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

TEST(StageCrash, KilledAtAnyMomentItGoesOn) {
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
  EXPECT_GT(died, 4);  // half of them, unless the machine is busy
  EXPECT_GT(resumed, 0);
}

// A kill between the swap of two folders and the removal of the old one leaves the old one in the stage, beside a
// journal of the new one. It must not be taken for work to go on with.
TEST(StageCrash, KilledAfterTheSwap) {
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

TEST(StageCrash, TwoRunsDoNotMix) {
  const TempFolder temp;
  Stage first(temp.path / "out", Stage::Kind::file, "f", kFresh);
  const std::string message =
      message_of([&] { Stage(temp.path / "out", Stage::Kind::file, "f", kFresh); }, Blame::environment);
  EXPECT_NE(message.find("another run"), std::string::npos) << message;
  Stage other(temp.path / "other", Stage::Kind::file, "f", kFresh);
}

TEST(StageCrash, NoRoom) {
  const TempFolder temp;
  Stage stage(temp.path / "out", Stage::Kind::file, "f", kFresh);
  const std::string message = message_of([&] { stage.add_file("out", dim(1) << 60); }, Blame::environment);
  EXPECT_NE(message.find("expected room for 1152921504606846976 bytes"), std::string::npos) << message;
  EXPECT_NE(message.find("free some space"), std::string::npos) << message;
  EXPECT_FALSE(fs::exists(temp.path / "out"));
}

// A limit on the size of files stands in for a disk that fills up: reserving and writing fail alike.
TEST(StageCrash, DiskFillsUp) {
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

}  // namespace
}  // namespace pith
