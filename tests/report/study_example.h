// A study made by hand: a base and two models on three windows.
#pragma once
#include <cmath>

#include "report/study/record.h"

namespace pith::report {

inline ModelRecord example_model(const char* name, dim bytes, double nll, double kl) {
  ModelRecord m;
  m.name = name;
  m.path = std::string("/models/") + name;
  m.hash = "ab12";
  m.category = "post-training quantization";
  m.method = "rtn";
  m.format = "q4_0";
  m.size = {.file_bytes = bytes, .weight_bytes = bytes - 1000, .linear_bytes = bytes - 2000};
  m.size.parameters = 1'000'000;
  m.size.linear_parameters = 800'000;
  QualityRecord q;
  q.nll = {nll, 0.01};
  q.perplexity = {std::exp(nll), 0.2};
  q.bits_per_byte = {1, 0.1};
  // Three windows of 100 tokens; the windows differ, the difference between models less so.
  for (int w = 0; w < 3; ++w) q.by_window.push_back({100, 100 * (nll + 0.1 * w)});
  q.by_position = {{0, 16, 150, nll + 0.2}, {16, 16, 150, nll - 0.2}};
  if (kl > 0) {
    DivergenceRecord d;
    d.kl = {kl, kl / 10};
    d.top1 = {0.9, 0.01};
    d.median = kl / 2;
    d.p90 = 2 * kl;
    d.p99 = 5 * kl;
    d.most = 9 * kl;
    d.by_window = {90 * kl, 100 * kl, 110 * kl};
    q.against_base = d;
  }
  m.quality = q;
  SpeedRecord s;
  s.threads = 2;
  s.prefill = 100'000'000.0 / double(bytes);
  s.decode = 10'000'000.0 / double(bytes);
  m.speed = s;
  return m;
}

inline Study example_study() {
  Study study;
  study.title = "An example";
  study.protocol = "llamacpp-512";
  study.conditions = "context 512; 3 windows";
  study.text_name = "text.txt";
  study.text_hash = "cc33";
  study.machine = {.processor = "A processor", .processors = 2, .ram_bytes = 8'000'000'000, .kernels = "avx2"};
  study.seed = 1;
  study.base = example_model("base", 2'000'000, 3.0, 0);
  study.models = {example_model("small", 500'000, 3.2, 0.2), example_model("large", 1'000'000, 3.05, 0.05)};
  return study;
}

}  // namespace pith::report
