// A strict JSON reader (RFC 8259) for documents of strangers: limited in size and depth, never recursive beyond that.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <locale>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace gen {

/// The text is not a JSON document.
class JsonError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// More objects and lists lie in one another than allowed.
class JsonDepthError : public JsonError {
  using JsonError::JsonError;
};

/// One JSON value. Of several members with one name the last counts.
class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::map<std::string, Json, std::less<>>;

  Json() = default;
  template <class T>
  explicit Json(T value) : value_(std::move(value)) {}

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value_); }
  const bool* boolean() const { return std::get_if<bool>(&value_); }
  /// A number without point or exponent that int64 holds; null for any other value, as of the functions beside.
  const std::int64_t* whole() const { return std::get_if<std::int64_t>(&value_); }
  const std::string* text() const { return std::get_if<std::string>(&value_); }
  const Array* array() const { return std::get_if<Array>(&value_); }
  const Object* object() const { return std::get_if<Object>(&value_); }
  bool is_number() const { return whole() != nullptr || std::holds_alternative<double>(value_); }

  /// Any number; 0 for what is none.
  double number() const {
    if (const auto* integer = whole()) return static_cast<double>(*integer);
    const auto* real = std::get_if<double>(&value_);
    return real != nullptr ? *real : 0.0;
  }

  /// A member of an object; null where there is none.
  const Json* find(std::string_view name) const {
    const auto* members = object();
    if (members == nullptr) return nullptr;
    const auto found = members->find(name);
    return found != members->end() ? &found->second : nullptr;
  }

  /// Reads a whole document. Throws JsonError, or JsonDepthError.
  static Json parse(std::string_view text, int deepest);

 private:
  std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, Array, Object> value_ = nullptr;
};

namespace detail {

class JsonReader {
 public:
  JsonReader(std::string_view text, int deepest) : text_(text), deepest_(deepest) {}

  Json document() {
    Json value = read();
    skip_space();
    if (at_ != text_.size()) fail("the end");
    return value;
  }

 private:
  Json read() {
    skip_space();
    if (starts("{")) return nested([this] { return object(); });
    if (starts("[")) return nested([this] { return array(); });
    if (starts("\"")) return Json(string());
    for (const char* name : {"NaN", "Infinity", "-Infinity"}) {
      if (starts(name)) throw JsonError(std::string(name) + " is no JSON number");
    }
    if (take("null")) return Json(nullptr);
    if (take("true")) return Json(true);
    if (take("false")) return Json(false);
    return number();
  }

  template <class Read>
  Json nested(Read read) {
    if (depth_ == deepest_) throw JsonDepthError("more than " + std::to_string(deepest_) + " levels deep");
    ++depth_;
    ++at_;
    Json value(read());
    --depth_;
    return value;
  }

  Json::Object object() {
    Json::Object members;
    skip_space();
    if (take("}")) return members;
    do {
      skip_space();
      if (!starts("\"")) fail("a name in quotes");
      std::string name = string();
      skip_space();
      if (!take(":")) fail("':'");
      members[std::move(name)] = read();
      skip_space();
    } while (take(","));
    if (!take("}")) fail("',' or '}'");
    return members;
  }

  Json::Array array() {
    Json::Array items;
    skip_space();
    if (take("]")) return items;
    do {
      items.push_back(read());
      skip_space();
    } while (take(","));
    if (!take("]")) fail("',' or ']'");
    return items;
  }

  Json number() {
    const std::size_t begin = at_;
    take("-");
    if (!take("0")) digits();
    bool whole = true;
    if (take(".")) whole = false, digits();
    if (take("e") || take("E")) {
      whole = false;
      if (!take("+")) take("-");
      digits();
    }
    return number_of(std::string(text_.substr(begin, at_ - begin)), whole);
  }

  static Json number_of(const std::string& digits, bool whole) {
    std::istringstream in(digits);
    in.imbue(std::locale::classic());
    std::int64_t integer = 0;
    if (whole && in >> integer) return Json(integer);
    in.clear();
    in.seekg(0);
    double real = 0;
    if (!(in >> real) || !std::isfinite(real)) throw JsonError(digits.substr(0, 40) + " is too large a number");
    return Json(real);
  }

  void digits() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    if (at_ == begin) fail("a value");
  }

  std::string string() {
    std::string result;
    for (++at_;;) {
      if (at_ == text_.size()) fail("'\"'");
      const char c = text_[at_++];
      if (c == '"') return result;
      if (static_cast<unsigned char>(c) < 0x20) fail("no control character in a string");
      if (c == '\\') {
        escape(result);
      } else {
        result += c;
      }
    }
  }

  void escape(std::string& result) {
    static constexpr std::string_view names = "\"\\/bfnrt", values = "\"\\/\b\f\n\r\t";
    if (take("u")) return unicode(result);
    const std::size_t kind = at_ < text_.size() ? names.find(text_[at_]) : std::string_view::npos;
    if (kind == std::string_view::npos) fail("an escape");
    result += values[kind];
    ++at_;
  }

  /// \uXXXX, or a pair of them, as UTF-8; half a pair is refused.
  void unicode(std::string& result) {
    std::uint32_t code = hexadecimal();
    if (code >= 0xDC00 && code < 0xE000) fail("the first half of a pair");
    if (code >= 0xD800 && code < 0xDC00) {
      if (!take("\\u")) fail("the second half of a pair");
      const std::uint32_t low = hexadecimal();
      if (low < 0xDC00 || low >= 0xE000) fail("the second half of a pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(result, code);
  }

  std::uint32_t hexadecimal() {
    std::uint32_t code = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      static constexpr std::string_view lower = "0123456789abcdef", upper = "0123456789ABCDEF";
      const char c = at_ < text_.size() ? text_[at_] : ' ';
      const std::size_t digit = lower.find(c) != std::string_view::npos ? lower.find(c) : upper.find(c);
      if (digit == std::string_view::npos) fail("four hexadecimal digits");
      code = code * 16 + static_cast<std::uint32_t>(digit);
    }
    return code;
  }

  static void append_utf8(std::string& result, std::uint32_t code) {
    const auto put = [&result](std::uint32_t byte) { result += static_cast<char>(byte); };
    if (code < 0x80) return put(code);
    if (code < 0x800) return put(0xC0 | code >> 6), put(0x80 | (code & 0x3F));
    if (code < 0x10000) {
      put(0xE0 | code >> 12);
    } else {
      put(0xF0 | code >> 18);
      put(0x80 | (code >> 12 & 0x3F));
    }
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }

  void skip_space() { at_ = std::min(text_.find_first_not_of(" \t\n\r", at_), text_.size()); }
  bool starts(std::string_view what) const { return text_.compare(at_, what.size(), what) == 0; }
  bool take(std::string_view what) {
    const bool found = starts(what);
    if (found) at_ += what.size();
    return found;
  }
  [[noreturn]] void fail(const std::string& expected) const {
    throw JsonError("expected " + expected + " at character " + std::to_string(at_));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int deepest_, depth_ = 0;
};

}  // namespace detail

inline Json Json::parse(std::string_view text, int deepest) { return detail::JsonReader(text, deepest).document(); }

}  // namespace gen
