// The JSON reader and the card on strangers' documents: known answers, known refusals, and broken cards by the
// thousand.

#include <random>
#include <vector>

#include "check.hpp"

namespace {

template <class Failure>
void require_refused(const std::string& text) {
  try {
    gen::Json::parse(text, 32);
  } catch (const Failure&) {
    return;
  }
  CHECK(false, text.substr(0, 60) << " was read");
}

void reads_every_kind_of_value() {
  const gen::Json json = gen::Json::parse(
      R"( {"a": [1, -2.5e-1, true, null], "b": {"c": "x\n\u00e9\ud83d\ude00"}, "a2": 9223372036854775807} )", 32);
  const auto& list = *json.find("a")->array();
  CHECK(*list[0].whole() == 1 && list[1].number() == -0.25 && *list[2].boolean() && list[3].is_null(), "values");
  CHECK(list[1].whole() == nullptr && list[0].text() == nullptr, "kinds");
  CHECK(*json.find("b")->find("c")->text() == "x\n\xC3\xA9\xF0\x9F\x98\x80", "escapes");
  CHECK(*json.find("a2")->whole() == INT64_MAX, "whole numbers keep all digits");
  CHECK(gen::Json::parse("18446744073709551616", 1).number() == 18446744073709551616.0, "larger ones are floats");
  CHECK(*gen::Json::parse(R"({"a": 1, "a": 2})", 1).find("a")->whole() == 2, "the last of two members counts");
}

void refuses_what_is_no_json() {
  for (const char* text : {"",          " ",           "{",           "}",           "[1",
                           "[1,]",      "[,1]",        "{\"a\"}",     "{\"a\":}",    "{\"a\":1,}",
                           "{a:1}",     "'a'",         "\"",          "\"\\",        "\"\\x\"",
                           "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"",
                           "\"\t\"",    "tru",         "nulL",        "1 2",         "01",
                           "-",         "+1",          "1.",          ".5",          "1e",
                           "1e+",       "0x1",         "NaN",         "Infinity",    "-Infinity",
                           "1e999",     "-1e999"}) {
    require_refused<gen::JsonError>(text);
  }
}

void refuses_what_is_too_deep() {
  const std::string in = std::string(32, '['), out = std::string(32, ']');
  gen::Json::parse(in + out, 32);
  require_refused<gen::JsonDepthError>("[" + in + out + "]");
  require_refused<gen::JsonDepthError>(std::string(10'000'000, '['));
}

void refuses_a_card_that_is_too_long() {
  try {
    gen::Card::parse(std::string(gen::Card::longest + 1, ' '), "a.onnx");
  } catch (const gen::FileError& error) {
    CHECK(std::string(error.what()) == "a.onnx: expected a card of at most 1048576 characters, found 1048577",
          error.what());
    return;
  }
  CHECK(false, "it was read");
}

/// The borders of every length, the halves of pairs and the overlong forms (RFC 3629, section 4).
void knows_utf8() {
  for (const std::string text : {"", "a", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
                                 "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", "a\xC3\xA9z"})
    CHECK(gen::detail::is_utf8(text), text << " was refused");
  for (const std::string text : {"\x80", "\xC1\xBF", "\xC3", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE2\x82", "\xF0\x8F\xBF\xBF",
                                 "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "caf\xE9"})
    CHECK(!gen::detail::is_utf8(text), text << " was taken");
}

void refuses_a_card_that_is_not_utf8() {
  try {
    gen::Card::parse("{\"summary\": \"caf\xE9\"}", "a.onnx");
  } catch (const gen::FileError& error) {
    CHECK(std::string(error.what()) == "a.onnx: its metadata is not UTF-8 text", error.what());
    return;
  }
  CHECK(false, "it was read");
}

/// A card with some bytes changed, cut out or doubled is read or refused by name; nothing else may happen.
void survives_broken_cards(const std::string& card) {
  std::mt19937 random(7);
  const auto below = [&random](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text = card;
    for (std::size_t change = below(3) + 1; change > 0; --change) {
      const std::size_t at = below(text.size());
      switch (below(4)) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.erase(at, below(20) + 1);
          break;
        case 2:
          text.insert(at, text.substr(below(text.size()), below(20)));
          break;
        default:
          text[at] = "{}[]\",:0-9.eE\\"[below(14)];
      }
    }
    try {
      gen::Card::parse(text, "a.onnx");
    } catch (const gen::FileError&) {
      ++refused;
    }
  }
  CHECK(refused > 10000, refused << " refused");
}

}  // namespace

int main(int, char** argv) {
  return test::run([&] {
    const auto model = gen::Model::load(std::filesystem::path(argv[1]) / "gaussian.onnx", {gen::Device::Cpu, 1});
    reads_every_kind_of_value();
    refuses_what_is_no_json();
    refuses_what_is_too_deep();
    refuses_a_card_that_is_too_long();
    knows_utf8();
    refuses_a_card_that_is_not_utf8();
    survives_broken_cards(model.card().text);
  });
}
