#include "ops/dense_product.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#include <cstdlib>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <tuple>

#include "core/error.h"

namespace pith {

namespace {

using Shape = std::tuple<DenseType, dim, dim, dim, dim, bool>;  // type, n, rows, cols, y_stride, add

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

struct Product {
  dnnl::memory::desc x, w, y;
  dnnl::matmul run;
};

Product make_product(const DenseCall& c) {
  using Memory = dnnl::memory;
  const auto type = c.type == DenseType::bf16 ? Memory::data_type::bf16 : Memory::data_type::f32;
  Product product;
  product.x = Memory::desc({c.n, c.cols}, type, Memory::dims{c.cols, 1});
  product.w = Memory::desc({c.cols, c.rows}, type, Memory::dims{1, c.cols});
  product.y = Memory::desc({c.n, c.rows}, Memory::data_type::f32, Memory::dims{c.y_stride, 1});
  dnnl::primitive_attr attributes;
  if (c.add) {
    dnnl::post_ops sum;
    sum.append_sum(1.0f);
    attributes.set_post_ops(sum);
  }
  const dnnl::matmul::desc description(product.x, product.w, product.y);
  product.run = dnnl::matmul(dnnl::matmul::primitive_desc(description, attributes, engine()));
  return product;
}

}  // namespace

bool has_bf16_products() {
  static const bool has = [] {
    const char* forced = std::getenv("PITH_FORCE_ISA");
    if (forced && *forced) return false;
    const auto isa = dnnl::get_effective_cpu_isa();
    return isa == dnnl::cpu_isa::avx512_core_bf16 || isa == dnnl::cpu_isa::avx512_core_amx;
  }();
  return has;
}

// The callers split the work over our own threads; oneDNN's would come on top.
static void keep_to_this_thread() {
#ifdef _OPENMP
  thread_local const bool once = (omp_set_num_threads(1), true);
  (void)once;
#endif
}

void dense_product(const DenseCall& c) {
  keep_to_this_thread();
  thread_local std::map<Shape, Product> products;  // making one takes longer than a small product
  try {
    if (products.size() > 256) products.clear();
    const Shape shape{c.type, c.n, c.rows, c.cols, c.y_stride, c.add};
    auto found = products.find(shape);
    if (found == products.end()) found = products.emplace(shape, make_product(c)).first;
    const Product& p = found->second;
    dnnl::stream stream(engine());
    p.run.execute(stream, {{DNNL_ARG_SRC, dnnl::memory(p.x, engine(), const_cast<void*>(c.x))},
                           {DNNL_ARG_WEIGHTS, dnnl::memory(p.w, engine(), const_cast<void*>(c.w))},
                           {DNNL_ARG_DST, dnnl::memory(p.y, engine(), c.y)}});
    stream.wait();
  } catch (const dnnl::error& e) {
    throw InternalError(
        fmt::format("oneDNN product of ({}, {}) and ({}, {}): {}", c.n, c.cols, c.rows, c.cols, e.what()));
  }
}

}  // namespace pith
