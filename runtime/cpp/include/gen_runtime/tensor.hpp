// Tensors: numbers of a dtype in a shape, row-major. Copies share their memory, which is never written again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "errors.hpp"

namespace gen {

enum class DType { Bool, UInt8, Int32, Int64, Float32, Float64 };

inline constexpr std::array<std::string_view, 6> dtype_names = {"bool",  "uint8",   "int32",
                                                                "int64", "float32", "float64"};

inline std::string name_of(DType dtype) { return std::string(dtype_names[static_cast<std::size_t>(dtype)]); }

/// The dtype of a C++ type.
template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, bool>) return DType::Bool;
  else if constexpr (std::is_same_v<T, std::uint8_t>) return DType::UInt8;
  else if constexpr (std::is_same_v<T, std::int32_t>) return DType::Int32;
  else if constexpr (std::is_same_v<T, std::int64_t>) return DType::Int64;
  else if constexpr (std::is_same_v<T, float>) return DType::Float32;
  else {
    static_assert(std::is_same_v<T, double>, "a tensor holds bool, uint8, int32, int64, float or double");
    return DType::Float64;
  }
}

/// Calls with a zero of the dtype's C++ type.
template <class Call>
decltype(auto) with_type(DType dtype, Call call) {
  switch (dtype) {
    case DType::Bool:
      return call(false);
    case DType::UInt8:
      return call(std::uint8_t{0});
    case DType::Int32:
      return call(std::int32_t{0});
    case DType::Int64:
      return call(std::int64_t{0});
    case DType::Float32:
      return call(0.0F);
    case DType::Float64:
      break;
  }
  return call(0.0);
}

using Shape = std::vector<std::int64_t>;

/// The number of elements.
inline std::int64_t size_of(const Shape& shape) {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

inline std::string text_of(const Shape& shape) {
  std::string text;
  for (const auto size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

class Tensor {
 public:
  /// Shares memory that `data` keeps alive.
  Tensor(DType dtype, Shape shape, std::shared_ptr<const void> data)
      : dtype_(dtype), shape_(std::move(shape)), size_(size_of(shape_)), data_(std::move(data)) {}

  /// Takes values in row-major order. Throws PortError when they are not as many as the shape says.
  template <class T>
  Tensor(Shape shape, std::vector<T> values) : Tensor(dtype_of<T>(), std::move(shape), nullptr) {
    static_assert(!std::is_same_v<T, bool>, "std::vector<bool> holds no bools: use Tensor::view or Tensor::make");
    if (size_ != static_cast<std::int64_t>(values.size())) {
      throw PortError("expected " + std::to_string(size_) + " values for the shape " + text_of(shape_) + ", found " +
                      std::to_string(values.size()));
    }
    auto kept = std::make_shared<std::vector<T>>(std::move(values));
    data_ = std::shared_ptr<const void>(kept, kept->data());
  }

  /// Calls `fill(T* values)` to write the values of a new tensor.
  template <class T, class Fill>
  static Tensor make(Shape shape, Fill fill) {
    const std::shared_ptr<T[]> values(new T[static_cast<std::size_t>(size_of(shape))]());
    fill(values.get());
    return Tensor(dtype_of<T>(), std::move(shape), std::shared_ptr<const void>(values, values.get()));
  }

  /// One number.
  template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
  explicit Tensor(T value) : Tensor(dtype_of<T>(), {}, std::make_shared<T>(value)) {}

  /// Borrows the caller's memory, which must outlive the tensor and its copies.
  template <class T>
  static Tensor view(Shape shape, const T* values) {
    return Tensor(dtype_of<T>(), std::move(shape), std::shared_ptr<const void>(std::shared_ptr<void>(), values));
  }

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  std::int64_t size() const { return size_; }
  const void* bytes() const { return data_.get(); }

  /// The values in row-major order. Throws PortError for another type than the tensor's.
  template <class T>
  const T* data() const {
    if (dtype_ != dtype_of<T>()) {
      throw PortError("expected a tensor of " + name_of(dtype_of<T>()) + ", found one of " + name_of(dtype_));
    }
    return static_cast<const T*>(data_.get());
  }

  template <class T>
  const T* begin() const {
    return data<T>();
  }
  template <class T>
  const T* end() const {
    return data<T>() + size_;
  }

  /// The only value. Throws PortError when there are more or fewer.
  template <class T>
  T item() const {
    if (size_ != 1) throw PortError("expected a tensor of one value, found the shape " + text_of(shape_));
    return *data<T>();
  }

 private:
  DType dtype_;
  Shape shape_;
  std::int64_t size_;
  std::shared_ptr<const void> data_;
};

}  // namespace gen
