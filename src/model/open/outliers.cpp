#include "model/open/outliers.h"

#include <map>

#include "formats/sparse.h"
#include "io/printable.h"
#include "model/export/parts.h"

namespace pith {

namespace {

void expect(const StoredTable& table, std::string_view type, const std::vector<dim>& shape) {
  if (!table.right_type || table.shape != shape)
    throw input_error(printable(table.name), "expected {} {}, found {}{}", type, shape_text(shape),
                      table.right_type ? "" : "another type and ", shape_text(table.shape));
}

constexpr int kF16 = 1, kI16 = 25, kI32 = 26;

StoredTable table_of(const GgufFile& file, const GgufTensor& stored, int type) {
  return {stored.name, stored.type == type, {stored.shape.rbegin(), stored.shape.rend()}, file.data(stored)};
}

}  // namespace

void attach_outliers(const StoredTable& columns, const StoredTable& values, ModelTensor& t) {
  const dim rows = t.weight.rows, cols = t.weight.cols;
  if (t.vector || rows < 1 || cols < 1 || cols > dim(1) << 31)
    throw input_error(printable(values.name), "expected outliers of a matrix, {} is none", printable(t.name));
  const dim kept = values.shape.size() == 2 ? values.shape[1] : 0;
  if (kept < 1 || kept > cols)
    throw input_error(printable(values.name), "expected shape [{}, 1 to {}], found {}", rows, cols,
                      shape_text(values.shape));
  expect(values, "F16", {rows, kept});
  const bool shared = columns.shape.size() == 2 && columns.shape[0] == 1;
  expect(columns, index_bytes(cols) == 2 ? "I16" : "I32", {shared ? 1 : rows, kept});
  t.outliers = listed_view({kept, shared}, rows, cols, columns.data, values.data);
  check_sparse(*t.outliers, printable(columns.name));
}

void attach_gguf_outliers(const GgufFile& file, const std::vector<const GgufTensor*>& tables,
                          std::vector<ModelTensor>& tensors) {
  std::map<std::string, const GgufTensor*, std::less<>> by_name;
  for (const GgufTensor* table : tables) by_name.emplace(table->name, table);
  for (ModelTensor& t : tensors) {
    if (by_name.empty() || !t.name.ends_with(".weight")) continue;
    const std::string base = std::string(kOutlierPrefix) + module_name(t.name);
    const auto columns = by_name.find(base + std::string(kOutlierColumns));
    const auto values = by_name.find(base + std::string(kOutlierValues));
    if (columns == by_name.end() || values == by_name.end()) continue;
    attach_outliers(table_of(file, *columns->second, index_bytes(t.weight.cols) == 2 ? kI16 : kI32),
                    table_of(file, *values->second, kF16), t);
    by_name.erase(columns);
    by_name.erase(base + std::string(kOutlierValues));
  }
  if (!by_name.empty())
    throw input_error(printable(by_name.begin()->first),
                      "expected outliers as columns and values beside a matrix, found no partner or no matrix");
}

}  // namespace pith
