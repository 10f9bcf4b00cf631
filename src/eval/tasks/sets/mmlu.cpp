// MMLU (Hendrycks et al. 2021): 57 subjects; letters of listed choices, examples from each subject's dev split.
#include <algorithm>
#include <array>

#include "eval/tasks/sets/forms.h"

namespace pith {
namespace {

constexpr std::array<std::string_view, 13> kHumanities = {"formal_logic",      "high_school_european_history",
                                                          "jurisprudence",     "high_school_us_history",
                                                          "logical_fallacies", "high_school_world_history",
                                                          "moral_disputes",    "international_law",
                                                          "moral_scenarios",   "philosophy",
                                                          "prehistory",        "professional_law",
                                                          "world_religions"};
constexpr std::array<std::string_view, 12> kSocialSciences = {
    "econometrics",     "high_school_geography",      "human_sexuality",   "high_school_government_and_politics",
    "public_relations", "high_school_macroeconomics", "security_studies",  "high_school_microeconomics",
    "sociology",        "high_school_psychology",     "us_foreign_policy", "professional_psychology"};
constexpr std::array<std::string_view, 13> kOther = {
    "business_ethics",      "clinical_knowledge", "college_medicine", "global_facts",
    "human_aging",          "management",         "marketing",        "medical_genetics",
    "miscellaneous",        "nutrition",          "virology",         "professional_accounting",
    "professional_medicine"};

std::string field_of(std::string_view subject) {
  const auto among = [&](const auto& names) { return std::find(names.begin(), names.end(), subject) != names.end(); };
  return among(kHumanities)       ? "humanities"
         : among(kSocialSciences) ? "social_sciences"
         : among(kOther)          ? "other"
                                  : "stem";
}

std::string stripped(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r\n"), last = text.find_last_not_of(" \t\r\n");
  return first == text.npos ? "" : text.substr(first, last + 1 - first);
}

// Rows of question, four choices and the right one, as a number or a letter, below a row of titles.
std::vector<Document> subject_documents(TaskSource& source, const std::string& subject, const std::string& file) {
  std::string spaced = subject;
  std::replace(spaced.begin(), spaced.end(), '_', ' ');
  auto rows = read_csv(source.files.read({file}), file, 6);
  std::vector<Document> documents;
  for (std::size_t i = 1; i < rows.size(); ++i) {
    const auto& row = rows[i];
    Document d;
    d.groups = {field_of(subject), subject};
    d.description = "The following are multiple choice questions (with answers) about " + spaced + ".\n\n";
    d.context = stripped(row[0]);
    for (std::size_t c = 0; c < 4; ++c) d.context += std::string("\n") + char('A' + c) + ". " + row[c + 1];
    d.context += "\nAnswer:";
    d.choices = {"A", "B", "C", "D"};
    const char gold = row[5].size() == 1 ? row[5][0] : '?';
    d.gold = gold >= 'A' && gold <= 'D' ? gold - 'A' : gold - '0';
    if (d.gold < 0 || d.gold > 3)
      throw input_error(file, "expected 0 ... 3 or A ... D as the answer of row {}, got {} bytes", i + 1,
                        row[5].size());
    documents.push_back(std::move(d));
  }
  return documents;
}

TaskData all_subjects(TaskSource& source) {
  constexpr std::string_view kTest = "_test.csv";
  TaskData data;
  for (const std::string& name : source.files.list("mmlu/test", kTest)) {
    const std::string subject = name.substr(0, name.size() - kTest.size());
    for (Document& d : subject_documents(source, subject, "mmlu/test/" + name)) data.documents.push_back(std::move(d));
    if (source.files.list("mmlu/dev", subject + "_dev.csv").empty()) continue;
    for (Document& d : subject_documents(source, subject, "mmlu/dev/" + subject + "_dev.csv"))
      data.examples.push_back(std::move(d));
  }
  if (data.documents.empty()) source.files.read({"mmlu/test/SUBJECT_test.csv"});  // says what is missing
  return data;
}

}  // namespace

extern const Task mmlu_task;
const Task mmlu_task = {
    .name = "mmlu",
    .summary = "57 subjects, letters of listed choices, five examples of each subject",
    .version = "2",
    .metrics = {&metric_acc},
    .load = all_subjects,
    .shots = 5,
    .first_examples = true,
};

}  // namespace pith
