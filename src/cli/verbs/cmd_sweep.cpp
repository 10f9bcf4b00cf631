#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "core/error.h"
#include "io/files.h"
#include "report/chart/svg.h"
#include "report/human.h"
#include "report/study/pages.h"
#include "report/study/tables.h"
#include "study/sweep.h"

namespace pith::cli {

namespace {

struct SweepArguments {
  std::string file, form = "text";
  SweepOverrides given;
  SweepOptions options;
  bool dry_run = false, report = false, json = false;
};

void print_points(const SweepPlan& plan) {
  report::Table table{{{"", true}, {"model", false}, {"point", false}, {"container", false}, {"state", false}}, {}};
  std::size_t left = 0;
  for (const PlannedPoint& p : sweep_points(plan)) {
    using State = PlannedPoint::State;
    left += p.state == State::left;
    table.rows.push_back({fmt::to_string(table.rows.size() + 1), p.model, p.point, p.container,
                          p.state == State::measured ? "measured"
                          : p.state == State::failed ? "failed"
                                                     : ""});
  }
  print(report::text_table(table) + fmt::format("\n{} points, {} of them to be made; results go to {}\n",
                                                table.rows.size(), left, plan.out.string()));
}

void print_step(const SweepStep& step, bool several) {
  std::string line =
      fmt::format("{:>3} of {}  {}{:<34}", step.number, step.total, several ? step.model + "  " : "", step.point);
  if (step.record) {
    line += fmt::format("  {:>8}", report::human_bytes(step.record->size.file_bytes));
    if (const auto q = report::quality_of(*step.record))
      line += fmt::format("  {} {:.4f}", step.record->quality->against_base ? "KL" : "perplexity", q->mean);
  } else {
    line += "  failed: " + report::shortened(step.error, 200);
  }
  print(line + (step.known ? "  (known)\n" : "  " + report::human_seconds(step.seconds) + "\n"));
}

void write_results(const std::filesystem::path& folder, const std::vector<report::Study>& studies) {
  using report::TextForm;
  write_whole(folder / "results.html", report::study_page(studies, true));
  write_whole(folder / "results.json", report::sweep_json(studies));
  write_whole(folder / "results.txt", report::sweep_report(studies, TextForm::text));
  write_whole(folder / "results.md", report::sweep_report(studies, TextForm::markdown));
  write_whole(folder / "results.tex", report::sweep_report(studies, TextForm::latex));
  write_whole(folder / "points.csv", report::sweep_report(studies, TextForm::csv));
  write_whole(folder / "quantization.csv", report::csv_table(report::quantization_table(studies)));
  write_whole(folder / "pruning.csv", report::csv_table(report::pruning_table(studies)));
}

void run_sweep(SweepArguments& a) {
  const report::TextForm form = report::text_form_or_throw(a.form);  // before any work
  const SweepPlan plan = read_sweep(a.file, a.given);
  if (a.dry_run) return print_points(plan);
  a.options.measure = !a.report;
  const bool lines = !a.json && form == report::TextForm::text && !a.report;
  const SweepResult result = sweep(
      plan, a.options,
      [&](const SweepStep& step) {
        if (lines) print_step(step, plan.models.size() > 1);
      },
      terminal_progress());
  write_results(plan.out, result.studies);
  print(a.json ? report::sweep_json(result.studies) : (lines ? "\n" : "") + report::sweep_report(result.studies, form));
  if (lines)
    print(fmt::format("\nwrote {} and the same as text, Markdown, LaTeX, CSV and JSON beside it\n",
                      (plan.out / "results.html").string()));
  if (result.failed > 0)
    throw Error(
        Blame::input, a.file,
        fmt::format("expected all {} points to be measured, {} failed", result.measured + result.known, result.failed),
        "the results say why; --retry tries them again");
}

void set_up(CLI::App& app) {
  auto a = std::make_shared<SweepArguments>();
  app.add_option("file", a->file, "what to measure, YAML (docs/sweep.md)")->required();
  app.add_option("--model", a->given.models, "instead of the file's models; may be given several times");
  app.add_option("--text", a->given.text, "instead of the file's: what quality is measured on");
  app.add_option("--calibrate", a->given.calibrate, "instead of the file's: the text that calibrated methods see");
  app.add_option("--windows", a->given.windows, "instead of the file's: windows of the text (0: all)")
      ->check(CLI::NonNegativeNumber);
  app.add_option("-o,--out", a->given.out, "instead of the file's: the folder of journal, results and models");
  app.add_flag("--dry-run", a->dry_run, "list the points and stop");
  app.add_flag("--report", a->report, "measure nothing: results of what was measured so far");
  app.add_flag("--retry", a->options.retry, "try points again that failed before");
  app.add_option("-f,--format", a->form, "text, csv, latex or markdown")->capture_default_str();
  app.add_flag("--json", a->json, "machine-readable output");
  add_threads(app);
  app.callback([a] { run_sweep(*a); });
}

}  // namespace

extern const Command sweep_command;
const Command sweep_command = {
    "sweep", "many methods, formats and sizes on one or more models, measured alike; goes on where it was stopped",
    "  pith sweep examples/sweep.yaml --model model/ --text text.txt --dry-run\n"
    "  pith sweep examples/sweep.yaml --model model/ --text text.txt --calibrate other.txt -o results/\n"
    "  pith sweep mine.yaml                       again after it was stopped: nothing is measured twice\n"
    "  pith sweep mine.yaml --report --format latex > table.tex",
    set_up};

}  // namespace pith::cli
