#include "ops/dense_product.h"

#include <cstdlib>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <tuple>

#include "core/error.h"

extern "C" void omp_set_num_threads(int);  // of libgomp, which oneDNN runs on; not every compiler has its header

namespace pith {

namespace {

// type, m, n, k, the strides of a, b and c, add
using Shape = std::tuple<DenseType, dim, dim, dim, dim, dim, dim, dim, dim, bool>;

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

struct Product {
  dnnl::memory::desc a, b, c;
  dnnl::matmul run;
};

Product make_product(const MatrixCall& c) {
  using Memory = dnnl::memory;
  const auto type = c.type == DenseType::bf16 ? Memory::data_type::bf16 : Memory::data_type::f32;
  Product product;
  product.a = Memory::desc({c.m, c.k}, type, Memory::dims{c.a_row, c.a_col});
  product.b = Memory::desc({c.k, c.n}, type, Memory::dims{c.b_row, c.b_col});
  product.c = Memory::desc({c.m, c.n}, Memory::data_type::f32, Memory::dims{c.c_row, 1});
  dnnl::primitive_attr attributes;
  if (c.add) {
    dnnl::post_ops sum;
    sum.append_sum(1.0f);
    attributes.set_post_ops(sum);
  }
  const dnnl::matmul::desc description(product.a, product.b, product.c);
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
  thread_local const bool once = (omp_set_num_threads(1), true);
  (void)once;
}

void matrix_product(const MatrixCall& c) {
  keep_to_this_thread();
  thread_local std::map<Shape, Product> products;  // making one takes longer than a small product
  try {
    if (products.size() > 256) products.clear();
    const Shape shape{c.type, c.m, c.n, c.k, c.a_row, c.a_col, c.b_row, c.b_col, c.c_row, c.add};
    auto found = products.find(shape);
    if (found == products.end()) found = products.emplace(shape, make_product(c)).first;
    const Product& p = found->second;
    dnnl::stream stream(engine());
    p.run.execute(stream, {{DNNL_ARG_SRC, dnnl::memory(p.a, engine(), const_cast<void*>(c.a))},
                           {DNNL_ARG_WEIGHTS, dnnl::memory(p.b, engine(), const_cast<void*>(c.b))},
                           {DNNL_ARG_DST, dnnl::memory(p.c, engine(), c.c)}});
    stream.wait();
  } catch (const dnnl::error& e) {
    throw InternalError(fmt::format("oneDNN product of ({}, {}) and ({}, {}): {}", c.m, c.k, c.k, c.n, e.what()));
  }
}

void dense_product(const DenseCall& c) {
  matrix_product({.type = c.type,
                  .a = c.x,
                  .a_row = c.cols,
                  .b = c.w,
                  .b_row = 1,
                  .b_col = c.cols,
                  .c = c.y,
                  .c_row = c.y_stride,
                  .m = c.n,
                  .n = c.rows,
                  .k = c.cols,
                  .add = c.add});
}

}  // namespace pith
