// The language, feature by feature; the wanted texts are what jinja2 3.1 gives.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/jinja/jinja.h"

namespace pith {

namespace {

struct Case {
  const char* source;
  const char* wanted;
};

std::string rendered(std::string_view source, const jinja::Limits& limits = {}) {
  std::tm now{};
  now.tm_year = 125, now.tm_mon = 2, now.tm_mday = 7;
  const nlohmann::ordered_json variables = {
      {"n", 7},
      {"s", "Grüße, Welt"},
      {"list", {3, 1, 2}},
      {"people", {{{"name", "Bo"}, {"age", 30}}, {{"name", "Al"}, {"age", 25}}, {{"name", "Cy"}}}},
      {"d", {{"b", 1}, {"A", 2}}}};
  return jinja::render(source, variables, now, limits);
}

void check(std::initializer_list<Case> cases) {
  for (const Case& c : cases) {
    std::string out;
    EXPECT_NO_THROW(out = rendered(c.source)) << c.source;
    EXPECT_EQ(out, c.wanted) << c.source;
  }
}

std::string refusal(std::string_view source, const jinja::Limits& limits = {}) {
  try {
    rendered(source, limits);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST(Jinja, WhiteSpace) {
  check({{"a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "a\n  b\nc"},
         {"a \n {%- if true -%} \n b {%- endif %}\n\n c", "ab\n c"},
         {"  {%+ if true %}x{% endif +%}\ny", "  x\ny"},
         {"  {{ 1 }}\n\n", "  1\n"},
         {"a\n  {# note #}\nb", "a\nb"},
         {"a {#- x -#} b", "ab"},
         {"{% raw %}{{ x }}{% endraw %}!", "{{ x }}!"},
         {"x\r\ny\rz", "x\ny\nz"}});
}

TEST(Jinja, Expressions) {
  check(
      {{"{{ 1 + 2 * 3 ** 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }}", "19 3 -4 2 3.5"},
       {"{{ 'a' ~ 1 ~ none ~ true }} {{ 'ab' * 2 }} {{ [1] + [2] }}", "a1NoneTrue abab [1, 2]"},
       {"{{ 1 < 2 < 3 }} {{ 1 == 1.0 }} {{ 'a' in 'cat' }} {{ 4 not in list }}", "True True True True"},
       {"{{ not true or 1 and 'x' }}{{ 'y' if false }}{{ nothing }}", "x"},
       {"{{ s[0] }}{{ s[2:5] }}{{ s[-1] }}{{ s[::-1] }}{{ list[1:] }}{{ list[::-2] }}", "GüßettleW ,eßürG[1, 2][2, 3]"},
       {"{{ d.b }}{{ d['A'] }}{{ d.c is defined }}{{ d.get('c', 'q') }}", "12Falseq"},
       {"{{ (1, 'x') }} {{ {'a': [none, 1.5e20, \"it's\"]} }} {{ (1,) }}",
        "(1, 'x') {'a': [None, 1.5e+20, \"it's\"]} (1,)"},
       {"{{ 0.1 }} {{ 1e16 }} {{ 123456.0 }} {{ 1e-5 }} {{ 1e-4 }}", "0.1 1e+16 123456.0 1e-05 0.0001"},
       {"{{ 'tab\\t\\x41\\u00e9\\'' 'b' }}", "tab\tAé'b"},
       {"{{ '%s is %05.1f or %d%%' % ('x', 2.25, 3) }}", "x is 002.2 or 3%"}});
}

TEST(Jinja, Statements) {
  check(
      {{"{% for x in list if x > 1 %}{{ loop.index }}/{{ loop.length }}={{ x }}{{ ',' if not loop.last }}{% endfor %}",
        "1/2=3,2/2=2"},
       {"{% for k, v in d.items() %}{{ k }}{{ v }}{% else %}none{% endfor %}", "b1A2"},
       {"{% for x in [] %}{% else %}empty{% endfor %}", "empty"},
       {"{% for x in range(9) %}{% if x == 1 %}{% continue %}{% endif %}{% if x == 3 %}{% break %}{% endif %}{{ x }}{% "
        "endfor %}",
        "02"},
       {"{% set x = 1 %}{% for i in list %}{% set x = i %}{% endfor %}{{ x }}", "1"},
       {"{% set ns = namespace(x=0) %}{% for i in list %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}", "6"},
       {"{% set t | upper %}a{{ n }}{% endset %}{{ t }}", "A7"},
       {"{% set a, b = 1, 2 %}{{ a }}{{ b }}{% with c = a %}{{ c }}{% endwith %}{{ c is defined }}", "121False"},
       {"{% macro f(a, b='B', c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ f(1) }}{{ f(1, c=2) }}", "1B11B2"},
       {"{% macro f(n) %}{{ n }}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}", "3210"},
       {"{% macro f() %}<{{ caller(5) }}>{% endmacro %}{% call(x) f() %}{{ x + n }}{% endcall %}", "<12>"},
       {"{% for x in [1, [2, [3]]] recursive %}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}{% endif %}{% "
        "endfor %}",
        "1(2(3))"},
       {"{% filter trim | upper %} a {% endfilter %}{% generation %}x{% endgeneration %}", "Ax"}});
}

TEST(Jinja, Filters) {
  check(
      {{"{{ list | sort | join('-') }}{{ list | length }}{{ s | length }}{{ list | first }}{{ list | last }}",
        "1-2-331132"},
       {"{{ people | map(attribute='name') | list }}", "['Bo', 'Al', 'Cy']"},
       {"{{ people | selectattr('age', 'defined') | map(attribute='age') | sum }}", "55"},
       {"{{ people | rejectattr('age') | map(attribute='name') | first }}", "Cy"},
       {"{{ people | sort(attribute='name') | map(attribute='name') | join }}", "AlBoCy"},
       {"{{ d | dictsort }} {{ d | items | list }}", "[('A', 2), ('b', 1)] [('b', 1), ('A', 2)]"},
       {"{{ d | tojson }} {{ 'é\"\\n<' | tojson }} {{ [1.0, none, true] | tojson }}",
        "{\"b\": 1, \"A\": 2} \"é\\\"\\n<\" [1.0, null, true]"},
       {"{{ {'a': [1, {}]} | tojson(indent=2) }}", "{\n  \"a\": [\n    1,\n    {}\n  ]\n}"},
       {"{{ 'é' | tojson(ensure_ascii=true) }}{{ d | tojson(separators=(',', ':'), sort_keys=true) }}",
        "\"\\u00e9\"{\"A\":2,\"b\":1}"},
       {"{{ 'a\nb\n\nc' | indent(2) }}|{{ 'a' | indent(2, true) }}", "a\n  b\n\n  c|  a"},
       {"{{ missing | default('x') }}{{ '' | default('y', true) }}{{ '4.7' | int }}{{ 'z' | int(-1) }}", "xy4-1"},
       {"{{ 'aXbX' | replace('X', '--') }}{{ ' a ' | trim }}{{ 'abc' | upper }}{{ [1, 1, 'a', 'A'] | unique | list }}",
        "a--b--aABC[1, 'a']"},
       {"{{ 2.5 | round }}{{ 3.14159 | round(2) }}{{ [3, 9, 1] | max }}{{ 'ab' | reverse }}", "2.03.149ba"},
       {"{{ '<' | safe + '>' }}", "<&gt;"}});
}

TEST(Jinja, MethodsAndTests) {
  check({{"{{ 'a,b,c'.split(',') }}{{ ' x  y '.split() }}{{ 'a-b-c'.rsplit('-', 1) }}",
          "['a', 'b', 'c']['x', 'y']['a-b', 'c']"},
         {"{{ 'xxhixx'.strip('x') }}{{ 'hi'.startswith('h') }}{{ 'hi'.endswith(('i', 'j')) }}{{ 'über'.upper() }}",
          "hiTrueTrueÜBER"},
         {"{{ 'hello world'.title() }}{{ 'hELLO'.capitalize() }}{{ 'aba'.count('a') }}{{ 'über'.find('b') }}",
          "Hello WorldHello21"},
         {"{{ 1 is number }}{{ true is integer }}{{ 's' is string }}{{ d is mapping }}{{ list is sequence }}{{ none is "
          "none }}",
          "TrueFalseTrueTrueTrueTrue"},
         {"{{ 3 is odd }}{{ 6 is divisibleby 3 }}{{ 1 is eq 1 }}{{ x is undefined }}{{ 2 is in list }}{{ 1 is not "
          "string }}",
          "TrueTrueTrueTrueTrueTrue"},
         {"{{ strftime_now('%d %B %Y') }}", "07 March 2025"}});
}

TEST(Jinja, Refusals) {
  EXPECT_EQ(refusal("a\nb{{ raise_exception('not so') }}"), "[chat template] line 2: the template refuses: 'not so'");
  EXPECT_EQ(refusal("{{ a.b }}"), "[chat template] line 1: 'a' is undefined");
  for (const char* source : {"{{ 1 + 'a' }}",
                             "{{ x() }}",
                             "{{ 1 | nofilter }}",
                             "{{ 1 is notest }}",
                             "{% if %}{% endif %}",
                             "{% if 1 %}",
                             "{{ 1",
                             "{# a",
                             "{% endfor %}",
                             "{{ 'a }}",
                             "{% break %}",
                             "{{ [1, }}",
                             "{{ 1 // 0 }}",
                             "{{ list.append(1) }}",
                             "{% set a, b = [1] %}",
                             "{{ 9223372036854775807 + 1 }}",
                             "{% include 'x' %}",
                             "{{ missing + 'x' }}",
                             "{% raw %}",
                             "{{ {[1]: 2} }}",
                             "{{ missing | tojson }}"})
    EXPECT_TRUE(refusal(source).starts_with("[chat template] line ")) << source << ": " << refusal(source);
}

TEST(Jinja, HostileTemplatesEnd) {
  const auto doubled = [](const char* start, const char* step) {
    std::string source = std::string("{% set a = ") + start + " %}";
    for (int i = 0; i < 80; ++i) source += std::string("{% set a = ") + step + " %}";
    return source;
  };
  const std::string deep =
      "{% set ns = namespace(a=[]) %}{% for i in range(9000) %}{% set ns.a = [ns.a] %}{% endfor %}";
  for (const std::string& source :
       {std::string("{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}"),
        std::string("{{ range(100000000) }}"),
        std::string("{{ 'a' * 1000000000000 }}"),
        std::string("{{ [1] * 1000000000 }}"),
        std::string("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"),
        std::string("{% for i in range(90000) %}{{ 'x' * 1000 }}{% endfor %}"),
        doubled("'ab'", "a + a"),
        doubled("[1]", "a + a"),
        doubled("[1]", "[a, a]") + "{{ a }}",
        doubled("[1]", "[a, a]") + "{{ a | tojson }}",
        doubled("[1]", "[a, a]") + "{% set b = a + [] %}{{ b == a + [1] or a[0] + [] == a[1] + [] }}{{ a }}",
        doubled("'ab'", "a | replace('a', a)"),
        deep + "{{ ns.a }}",
        deep + "{{ ns.a | tojson }}",
        deep + "{% set b = ns.a %}{% set ns.a = [] %}{{ b }}",
        "{{ " + std::string(5000, '(') + " }}",
        "{{ 1" +
            [] {
              std::string s;
              for (int i = 0; i < 5000; ++i) s += " + 1";
              return s;
            }() +
            " }}",
        "{{ " + std::string(5000, '-') + "1 }}",
        "{{ '%9999999s' % 1 }}" + std::string("{{ '%s' }}{{ x.y }}"),
        [] {
          std::string s;
          for (int i = 0; i < 5000; ++i) s += "{% if 1 %}";
          return s;
        }()})
    EXPECT_NE(refusal(source), "") << source.substr(0, 80);
  jinja::Limits small;
  small.max_output_bytes = 20;
  EXPECT_EQ(rendered("01234567890123456789", small), "01234567890123456789");
  EXPECT_NE(refusal("01234567890123456789{{ 1 }}", small), "");
}

}  // namespace pith
