// A caller's values as the tensors that a graph's ports declare, or a refusal by name.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "card.hpp"
#include "errors.hpp"
#include "tensor.hpp"
#include "text.hpp"

namespace gen {

/// What a caller gives for an input: a tensor, a number, or the name of a choice.
class Value {
 public:
  Value(Tensor tensor) : value_(std::move(tensor)) {}
  Value(std::string choice) : value_(std::move(choice)) {}
  Value(const char* choice) : value_(std::string(choice)) {}
  template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
  Value(T number) : value_(number_tensor(number)) {}

  const Tensor* tensor() const { return std::get_if<Tensor>(&value_); }
  const std::string* choice() const { return std::get_if<std::string>(&value_); }

 private:
  /// A bool, a whole number as int64, another number as float64.
  template <class T>
  static Tensor number_tensor(T number) {
    if constexpr (std::is_same_v<T, bool>) return Tensor(number);
    else if constexpr (std::is_floating_point_v<T>) return Tensor(static_cast<double>(number));
    else {
      static_assert(std::is_signed_v<T> || sizeof(T) < sizeof(std::int64_t), "whole numbers are those of int64");
      return Tensor(static_cast<std::int64_t>(number));
    }
  }

  std::variant<Tensor, std::string> value_;
};

/// Values by the names of inputs: `{{"steps", 20}, {"solver", "heun"}}`.
using Inputs = std::map<std::string, Value, std::less<>>;
/// Tensors by the names of outputs.
using Outputs = std::map<std::string, Tensor, std::less<>>;

namespace detail {

using Axes = std::map<std::string, std::int64_t, std::less<>>;

/// The ports that were given something, in order, their tensors, and the sizes of the free axes.
struct Checked {
  std::vector<const Port*> ports;
  std::vector<Tensor> tensors;
  Axes axes;
};

/// What is refused, and why. Words are put together only here: most calls are right.
struct Place {
  const std::string& graph;
  const Port& port;

  [[noreturn]] void refuse(const std::string& words) const { throw PortError(graph + ": " + port.name + ": " + words); }
};

/// The port's shape with the free axes' known sizes: `[batch=2, 1, 28, 28]`.
inline std::string shape_text(const Port& port, const Axes& axes) {
  return "[" +
         joined(port.shape,
                [&axes](const Axis& axis) {
                  const auto* name = std::get_if<std::string>(&axis);
                  const auto known = name != nullptr ? axes.find(*name) : axes.end();
                  return text_of(axis) + (known != axes.end() ? "=" + std::to_string(known->second) : "");
                }) +
         "]";
}

/// Whether a shape is the port's, with no empty axis; notes the free axes that it is the first to have.
inline bool fits(const Port& port, const Shape& shape, Axes& axes) {
  if (shape.size() != port.shape.size() || std::find(shape.begin(), shape.end(), 0) != shape.end()) return false;
  bool same = true;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const auto* name = std::get_if<std::string>(&port.shape[i]);
    const std::int64_t expected =
        name != nullptr ? axes.emplace(*name, shape[i]).first->second : std::get<std::int64_t>(port.shape[i]);
    same = same && expected == shape[i];
  }
  return same;
}

/// The size of each free axis: from the tensors that have it, or a scalar integer input of its name.
inline void find_axes(const std::string& graph, Checked& given) {
  for (std::size_t i = 0; i < given.ports.size(); ++i) {
    const Tensor& tensor = given.tensors[i];
    if (!tensor.shape().empty()) continue;
    if (tensor.dtype() == DType::Int64) given.axes.emplace(given.ports[i]->name, tensor.item<std::int64_t>());
    if (tensor.dtype() == DType::Int32) given.axes.emplace(given.ports[i]->name, tensor.item<std::int32_t>());
  }
  for (std::size_t i = 0; i < given.ports.size(); ++i) {
    const Port& port = *given.ports[i];
    const Shape& shape = given.tensors[i].shape();
    if (fits(port, shape, given.axes)) continue;
    Place{graph, port}.refuse("expected shape " + shape_text(port, given.axes) + ", found " + text_of(shape));
  }
}

template <class T>
std::string value_text(T value) {
  if constexpr (std::is_same_v<T, bool>) return value ? "True" : "False";
  else if constexpr (std::is_floating_point_v<T>) return exact_text(static_cast<double>(value));
  else return std::to_string(value);
}

/// A single value itself, or a tensor's dtype.
inline std::string found_text(const Tensor& tensor) {
  if (!tensor.shape().empty()) return "an array of " + name_of(tensor.dtype());
  return with_type(tensor.dtype(), [&tensor](auto zero) { return value_text(tensor.item<decltype(zero)>()); });
}

/// Whether a float type has this whole number.
template <class Float>
bool holds(std::int64_t value) {
  const auto rounded = static_cast<Float>(value);
  // 2^63 itself is no int64: casting it back would be undefined.
  return rounded < static_cast<Float>(9223372036854775808.0) && static_cast<std::int64_t>(rounded) == value;
}

/// Whether every value of one type is one of another, up to float64's extra digits.
template <class To, class From>
bool keeps_values(const Tensor& tensor) {
  constexpr bool to_float = std::is_floating_point_v<To>, from_float = std::is_floating_point_v<From>;
  constexpr bool one_bool = std::is_same_v<To, bool> || std::is_same_v<From, bool>;
  if constexpr (std::is_same_v<From, To>) return true;
  else if constexpr (one_bool || (from_float && !to_float)) return false;
  else if constexpr (from_float) return true;
  else if constexpr (to_float) return tensor.shape().empty() && holds<To>(tensor.item<From>());
  else {
    constexpr std::int64_t least = std::numeric_limits<To>::min(), greatest = std::numeric_limits<To>::max();
    return std::all_of(tensor.begin<From>(), tensor.end<From>(),
                       [=](std::int64_t value) { return least <= value && value <= greatest; });
  }
}

/// The nearest value of a type; beyond float32 an infinity, which is refused later.
template <class To, class From>
To converted(From value) {
  if constexpr (std::is_same_v<To, float> && std::is_same_v<From, double>) {
    constexpr double largest = std::numeric_limits<float>::max();
    if (std::abs(value) > largest * (1 + 0x1p-25))
      return std::copysign(std::numeric_limits<float>::infinity(), value < 0 ? -1.0F : 1.0F);
  }
  return static_cast<To>(value);
}

template <class To, class From>
Tensor cast(const Place& at, const Tensor& tensor) {
  if (!keeps_values<To, From>(tensor)) {
    at.refuse("expected " + name_of(at.port.dtype) + ", found " + found_text(tensor));
  }
  if constexpr (std::is_same_v<From, To>) return tensor;
  else {
    return Tensor::make<To>(tensor.shape(), [&tensor](To* values) {
      std::transform(tensor.begin<From>(), tensor.end<From>(), values, converted<To, From>);
    });
  }
}

/// Refuses values that are not finite or outside the port's range.
template <class T>
void check_values(const Place& at, const Tensor& tensor) {
  const Port& port = at.port;
  if (tensor.size() == 0) return;  // the shape check refuses it, and says so better
  if constexpr (std::is_floating_point_v<T>) {
    if (!std::all_of(tensor.begin<T>(), tensor.end<T>(), [](T value) { return std::isfinite(value); })) {
      at.refuse("expected finite " + name_of(port.dtype) + " values, found NaN or infinity");
    }
  }
  if (!port.minimum && !port.maximum) return;
  const auto [least, greatest] = std::minmax_element(tensor.begin<T>(), tensor.end<T>());
  const auto refuse = [&at](const std::string& expected, double bound, T found) {
    at.refuse("expected " + expected + number_text(bound) + ", found " + number_text(static_cast<double>(found)));
  };
  if (port.minimum && static_cast<double>(*least) < *port.minimum) refuse("at least ", *port.minimum, *least);
  if (port.maximum && static_cast<double>(*greatest) > *port.maximum) refuse("at most ", *port.maximum, *greatest);
}

/// The number of a choice.
inline Tensor number_of(const Place& at, const std::string& name) {
  const auto& choices = at.port.choices;
  if (choices.empty()) at.refuse("expected " + name_of(at.port.dtype) + ", found " + quoted(name));
  const auto found = std::find(choices.begin(), choices.end(), name);
  if (found == choices.end()) {
    const std::string known = joined(choices, [](const std::string& choice) { return choice; });
    at.refuse("expected one of " + known + ", found " + quoted(name));
  }
  return Tensor(std::int64_t{found - choices.begin()});
}

/// The value as a tensor of the port's dtype, finite and within its range.
inline Tensor as_tensor(const Place& at, const Value& value) {
  if (value.choice() != nullptr) return as_tensor(at, number_of(at, *value.choice()));
  const Tensor& given = *value.tensor();
  return with_type(at.port.dtype, [&](auto to) {
    Tensor tensor = with_type(given.dtype(), [&](auto from) { return cast<decltype(to), decltype(from)>(at, given); });
    check_values<decltype(to)>(at, tensor);
    return tensor;
  });
}

inline std::string names_of(const std::vector<Port>& ports) {
  return joined(ports, [](const Port& port) { return port.name; });
}

/// Every given value as a tensor of its port's dtype, shape and range. Throws PortError.
inline Checked check_inputs(const std::string& graph, const std::vector<Port>& ports, const Inputs& values) {
  for (const auto& [name, value] : values) {
    const bool known =
        std::any_of(ports.begin(), ports.end(), [&n = name](const Port& port) { return port.name == n; });
    if (!known)
      throw PortError(graph + " has no input '" + name + "': it takes " + (ports.empty() ? "none" : names_of(ports)));
  }
  std::vector<Port> missing;
  Checked checked;
  checked.ports.reserve(values.size());
  checked.tensors.reserve(values.size());
  for (const Port& port : ports) {
    const auto value = values.find(port.name);
    if (value == values.end()) {
      if (!port.optional) missing.push_back(port);
    } else if (missing.empty()) {
      checked.ports.push_back(&port);
      checked.tensors.push_back(as_tensor({graph, port}, value->second));
    }
  }
  if (!missing.empty()) throw PortError(graph + " needs " + names_of(missing));
  find_axes(graph, checked);
  return checked;
}

}  // namespace detail
}  // namespace gen
