#include "model/exchange/layout.h"

#include "core/error.h"

namespace pith {

const Layout& layout_of(Container container, std::span<const Format* const> formats, const ActPlan& act) {
  PITH_CHECK(container != Container::gguf);
  if (container == Container::gptq) return gptq_layout(formats);
  if (container == Container::awq) return awq_layout;
  if (container == Container::bnb) return bitsandbytes_layout;
  if (container == Container::pith) return pith_layout;
  if (container == Container::mlx) return mlx_layout;
  const bool integers = act.codes == ActPlan::Codes::integer && act.bits == 8;
  return integers ? compressed_tensors_a8_layout : compressed_tensors_layout;
}

SafeTensor stored_part(std::string name, std::string_view dtype, std::vector<dim> shape) {
  SafeTensor t;
  t.name = std::move(name);
  t.dtype = dtype;
  t.size_bytes = dtype_bits(dtype) / 8;
  for (const dim d : shape) t.size_bytes *= d;
  t.shape = std::move(shape);
  return t;
}

}  // namespace pith
