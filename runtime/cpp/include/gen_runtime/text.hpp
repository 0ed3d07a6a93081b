// Numbers and lists in messages, the same words in every locale.
#pragma once

#include <limits>
#include <locale>
#include <sstream>
#include <string>

namespace gen::detail {

/// A number with this many significant digits.
inline std::string number_text(double value, int digits = 6) {
  std::ostringstream out;
  out.imbue(std::locale::classic());
  out.precision(digits);
  out << value;
  return out.str();
}

/// A number in the fewest digits that give it back, with a point.
inline std::string exact_text(double value) {
  std::string text;
  for (int digits = 1; digits <= std::numeric_limits<double>::max_digits10; ++digits) {
    text = number_text(value, digits);
    std::istringstream in(text);
    in.imbue(std::locale::classic());
    double back = 0;
    if (in >> back && back == value) break;
  }
  return text.find_first_not_of("-0123456789") == std::string::npos ? text + ".0" : text;
}

/// The items' texts with commas between them.
template <class Items, class Text>
std::string joined(const Items& items, Text text) {
  std::string all;
  for (const auto& item : items) all += (all.empty() ? "" : ", ") + text(item);
  return all;
}

/// A text in quotes, cut where it is long.
inline std::string quoted(const std::string& text) { return "'" + text.substr(0, 40) + "'"; }

}  // namespace gen::detail
