// Several processes under mpirun do what one does, to the same bytes.
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/sanitizers.h"
#include "tests/shared_data.h"
// after shared_data.h, whose read_file it uses
#include "tests/cli/run_pith.h"

namespace pith {
namespace {

using test::run_shell;
using test::shell_quote;

// Threads: one each, as tests run beside others. Processes of one machine read each other's memory by copies, which
// containers may forbid.
std::string mpirun(int processes, const std::string& command) {
  return "OMPI_MCA_btl_vader_single_copy_mechanism=none PITH_THREADS=1 mpirun --allow-run-as-root --oversubscribe -n " +
         std::to_string(processes) + " " + command;
}

class ProcessesTest : public testing::Test {
 protected:
  test::TempFolder folder;
  std::string model, data;
  void SetUp() override {
#ifdef PITH_SANITIZED
    GTEST_SKIP() << "MPI leaves memory behind";
#endif
    if (run_shell("mpirun --version").exit_code != 0) GTEST_SKIP() << "no mpirun here (scripts/setup --dev)";
    if (run_shell(mpirun(2, shell_quote(PITH_BINARY) + " finetune x --data y")).err.find("has no MPI") !=
        std::string::npos)
      GTEST_SKIP() << "built without MPI";
    const auto stories = test::data_folder() / "models/stories260K/hf",
               text = test::data_folder() / "text/tinystories_30k.txt";
    if (!std::filesystem::exists(stories)) GTEST_SKIP() << "no test data at " << stories;
    model = stories.string();
    data = (folder.path / "data.txt").string();
    std::ofstream(data) << test::read_file(text).substr(0, 6000);
  }
  std::string at(const std::string& name) const { return (folder.path / name).string(); }
  std::string command(const std::string& verb, const std::string& out, const std::string& more) const {
    return shell_quote(PITH_BINARY) + " " + verb + " " + shell_quote(model) + " --data " + shell_quote(data) + " -o " +
           shell_quote(at(out)) + " --length 32 --batch 5 --micro-tokens 32 " + more;
  }
  std::string weights(const std::string& name) const {
    const std::string bytes = test::read_file(at(name) + "/model.safetensors");
    EXPECT_FALSE(bytes.empty()) << name;
    return bytes;
  }
  // Five batches a step: two processes have three rounds, three have two, and some wait in the last.
  void expect_same_for_any_number(const std::string& verb, const std::string& more) {
    nlohmann::json steps;
    for (const int n : {1, 2, 3}) {
      const std::string name = "of" + std::to_string(n);
      const auto ran = run_shell(mpirun(n, command(verb, name, more + " --overwrite --json")));
      ASSERT_EQ(ran.exit_code, 0) << ran.err;
      const auto report = nlohmann::json::parse(ran.out);  // of the first process alone
      EXPECT_EQ(report["processes"], n);
      if (n == 1) steps = report["steps"];
      EXPECT_EQ(report["steps"], steps) << n << " processes, " << more;
      EXPECT_TRUE(weights(name) == weights("of1")) << n << " processes, " << more;
    }
  }
};

TEST_F(ProcessesTest, SumsKeepTheirOrder) {
  const auto ran =
      run_shell(mpirun(3, shell_quote(std::filesystem::path(PITH_BINARY).parent_path() / "tests/test_core") +
                              " --gtest_color=no --gtest_filter=Group.ThreeProcessesAddInTheOrderOfRanks"));
  EXPECT_EQ(ran.exit_code, 0) << ran.out << ran.err;
  std::size_t passed = 0;
  for (std::size_t i = 0; (i = ran.out.find("[  PASSED  ] 1 test.", i)) != std::string::npos; ++i) ++passed;
  EXPECT_EQ(passed, 3u) << ran.out;
}

TEST_F(ProcessesTest, TrainToTheBytesOfOne) {
  expect_same_for_any_number("finetune", "--steps 3 --rate 1e-3 --validation 0.1 --validate-every 2");
}

TEST_F(ProcessesTest, DistillToTheBytesOfOne) {
  expect_same_for_any_number("distill", "--teacher " + shell_quote(model) +
                                            " --qat int2_g64 --to pith --steps 2 --rate 1e-3 --hidden 1 --hidden-map "
                                            "projection --hidden-layers last --on-policy 0.5 --new-tokens 4");
}

TEST_F(ProcessesTest, ADeadProcessEndsAllAndLeavesACheckpoint) {
  const std::string options = "--steps 30 --rate 1e-3 --checkpoint-every 2";
  ASSERT_EQ(run_shell(command("finetune", "whole", options)).exit_code, 0);
  // The second process is killed when the first checkpoint is there.
  const std::string started = "sh -c 'echo $$ > " + at("pid") + ".$OMPI_COMM_WORLD_RANK; exec \"$0\" \"$@\"' ";
  const std::string killer =
      "(until [ -e " + at("parts.checkpoint") + " ]; do sleep 0.01; done; kill -9 $(cat " + at("pid") + ".1)) & ";
  const auto killed = run_shell(killer + mpirun(2, started + command("finetune", "parts", options)));
  EXPECT_NE(killed.exit_code, 0);
  EXPECT_NE(killed.err.find("signal 9"), std::string::npos) << killed.err;
  EXPECT_FALSE(std::filesystem::exists(at("parts")));
  ASSERT_TRUE(std::filesystem::exists(at("parts.checkpoint")));
  std::filesystem::copy(at("parts.checkpoint"), at("other.checkpoint"));
  ASSERT_EQ(run_shell(command("finetune", "parts", options + " --resume")).exit_code, 0);
  ASSERT_EQ(run_shell(mpirun(3, command("finetune", "other", options + " --resume"))).exit_code, 0);
  EXPECT_TRUE(weights("parts") == weights("whole"));
  EXPECT_TRUE(weights("other") == weights("whole"));
}

TEST_F(ProcessesTest, EveryProcessSaysThatARunCannotGoOn) {
  const std::string first = command("finetune", "x", "--steps 2"), other = command("finetune", "x", "--steps 3");
  const auto ran = run_shell(mpirun(1, first + " : -n 1 " + other));
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.err.find("pith: rank 1 of 2: [processes] expected the model, data and options of the first"),
            std::string::npos)
      << ran.err;
  EXPECT_FALSE(std::filesystem::exists(at("x")));
  const auto both = run_shell(mpirun(2, command("finetune", "x", "--clip -1")));
  EXPECT_EQ(both.exit_code, 1);
  EXPECT_NE(both.err.find("of 2: [clip] expected 0"), std::string::npos) << both.err;
}

TEST_F(ProcessesTest, MeasureTheImportanceThatOneMeasures) {
  for (const int n : {1, 3})
    ASSERT_EQ(run_shell(mpirun(n, shell_quote(PITH_BINARY) + " imatrix " + shell_quote(model) + " --calibrate " +
                                      shell_quote(data) + " --calibrate-samples 7 --calibrate-length 64 -o " +
                                      shell_quote(at(std::to_string(n) + ".gguf"))))
                  .exit_code,
              0);
  const std::string one = test::read_file(at("1.gguf"));
  EXPECT_GT(one.size(), 10000u);
  EXPECT_TRUE(test::read_file(at("3.gguf")) == one);
}

TEST_F(ProcessesTest, CalibrateAsOne) {
  const auto quantize = [&](int processes, const std::string& name, const std::string& more) {
    return run_shell(mpirun(processes, shell_quote(PITH_BINARY) + " quantize " + shell_quote(model) + " --calibrate " +
                                           shell_quote(data) + " --calibrate-length 64 --format q4_0 -o " +
                                           shell_quote(at(name)) + " " + more));
  };
  for (const std::string& more :
       {std::string("--method awq+gptq --calibrate-samples 7"),
        std::string("--method gptq+autoround --set steps=2 --calibrate-samples 7"),
        std::string("--method gptq --true-sequential --calibrate-samples 2")}) {  // one process has none of them
    ASSERT_EQ(quantize(1, "one.gguf", more + " --overwrite").exit_code, 0) << more;
    const auto ran = quantize(3, "three.gguf", more + " --overwrite");
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
    const std::string one = test::read_file(at("one.gguf"));
    EXPECT_GT(one.size(), 100000u);
    EXPECT_TRUE(test::read_file(at("three.gguf")) == one) << more;
    EXPECT_FALSE(std::filesystem::exists(at("three.rank-1")));
  }
  EXPECT_EQ(quantize(2, "x.gguf", "--method gptq --resume").exit_code, 1);
}

TEST_F(ProcessesTest, VerbsThatDoNotShareRefuse) {
  const auto ran = run_shell(mpirun(2, shell_quote(PITH_BINARY) + " eval " + shell_quote(model)));
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.err.find("[eval] expected one process, mpirun started 2"), std::string::npos) << ran.err;
}

}  // namespace
}  // namespace pith
