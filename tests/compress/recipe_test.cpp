#include <gtest/gtest.h>

#include "compress/pipeline.h"
#include "core/error.h"

namespace pith {

TEST(Override, NamesRolesLayersAndFormat) {
  const Override o = parse_override("attn_v|ffn_down@0-1,5=q6_k");
  EXPECT_EQ(o.where.roles, (std::vector<Role>{Role::attn_v, Role::ffn_down}));
  EXPECT_EQ(o.where.layers, (std::vector<dim>{0, 1, 5}));
  EXPECT_EQ(o.format, &format_or_throw("q6_k"));
}

TEST(Override, StarIsAllLinearsAndNoLayersAreAll) {
  const Override o = parse_override("*=q8_0");
  EXPECT_TRUE(o.where.roles.empty());
  EXPECT_TRUE(o.where.layers.empty());
  EXPECT_EQ(parse_override("*@3=q8_0").where.layers, std::vector<dim>{3});
}

TEST(Override, RefusesWhatItCannotRead) {
  for (const char* text :
       {"", "attn_v", "attn_v=", "attn_v=q9_z", "attn_x=q8_0", "=q8_0", "|attn_v=q8_0", "attn_v@=q8_0", "attn_v@a=q8_0",
        "attn_v@1-=q8_0", "attn_v@3-1=q8_0", "attn_v@1-2-3=q8_0", "attn_v@-1=q8_0", "attn_v@0-999999999999=q8_0",
        "attn_v@99999999999999999999=q8_0", "attn_v@1,,2=q8_0", "attn_norm=q8_0"})
    EXPECT_THROW(parse_override(text), Error) << text;
  // many legal ranges must not add up to an unbounded list
  std::string many = "attn_v@0-99998";
  for (int i = 0; i < 50; ++i) many += ",0-99998";
  EXPECT_THROW(parse_override(many + "=q8_0"), Error);
}

}  // namespace pith
