#include "io/stage.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/io/bytes.h"
#include "tests/io/stage_work.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

using namespace test;

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
