// What the tests share: a check that says where and what, and the golden suite's values.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>

#include "gen_runtime.hpp"

#define CHECK(condition, message)                                                                       \
  do {                                                                                                  \
    if (!(condition)) {                                                                                 \
      std::ostringstream check_text;                                                                    \
      check_text << __FILE__ << ":" << __LINE__ << ": " << message << ": " #condition " does not hold"; \
      throw std::logic_error(check_text.str());                                                         \
    }                                                                                                   \
  } while (false)

namespace test {

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  CHECK(file, path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Runs a test's body; a failure is one line on the error stream and the exit code 1.
template <class Body>
int run(Body body) {
  try {
    body();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}

inline std::uint64_t splitmix64(std::uint64_t x) {
  std::uint64_t z = x + 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

/// Value i of the suite's drawn numbers.
inline double drawn(const gen::Json& value, bool whole, std::uint64_t i) {
  const auto seed = static_cast<std::uint64_t>(*value.find("seed")->whole());
  const double u = std::ldexp(static_cast<double>(splitmix64(seed + i) >> 40), -24);
  const double low = value.find("low")->number(), high = value.find("high")->number();
  return whole ? low + std::floor((high - low + 1) * u) : low + (high - low) * u;
}

/// One number as the suite writes it: large whole ones are text.
template <class T>
T number(const gen::Json& value) {
  if constexpr (std::is_same_v<T, bool>) return *value.boolean();
  else if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(value.text() != nullptr ? std::stoll(*value.text()) : *value.whole());
  } else return static_cast<T>(value.number());
}

inline gen::Shape shape_of(const gen::Json& value) {
  gen::Shape shape;
  for (const gen::Json& size : *value.find("shape")->array()) shape.push_back(*size.whole());
  return shape;
}

/// A tensor as the suite writes it.
inline gen::Tensor tensor_of(const gen::Json& value) {
  const auto name = gen::detail::dtype_named(*value.find("dtype")->text(), "");
  const gen::Shape shape = shape_of(value);
  return gen::with_type(name, [&](auto zero) {
    using T = decltype(zero);
    return gen::Tensor::make<T>(shape, [&](T* values) {
      const auto size = static_cast<std::uint64_t>(gen::size_of(shape));
      for (std::uint64_t i = 0; i < size; ++i) {
        if (value.find("seed") != nullptr) values[i] = static_cast<T>(drawn(value, std::is_integral_v<T>, i));
        else values[i] = number<T>((*value.find("values")->array())[i]);
      }
    });
  });
}

inline gen::Value value_of(const gen::Json& value) {
  const gen::Json* choice = value.find("choice");
  return choice != nullptr ? gen::Value(*choice->text()) : gen::Value(tensor_of(value));
}

inline gen::Inputs inputs_of(const gen::Json& test_case) {
  gen::Inputs inputs;
  for (const auto& [name, value] : *test_case.find("inputs")->object()) inputs.emplace(name, value_of(value));
  return inputs;
}

/// Refuses another dtype, shape or value; floats may be `tolerance` max(1, |expected|) apart.
inline void require_equal(const gen::Tensor& found, const gen::Tensor& expected, double tolerance,
                          const std::string& what) {
  CHECK(found.dtype() == expected.dtype() && found.shape() == expected.shape(), what);
  gen::with_type(expected.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < expected.size(); ++i) {
      const T a = found.data<T>()[i], b = expected.data<T>()[i];
      const double wide = static_cast<double>(b);
      const bool same = std::is_integral_v<T> || tolerance == 0
                            ? a == b
                            : std::abs(static_cast<double>(a) - wide) <= tolerance * std::max(1.0, std::abs(wide));
      CHECK(same, what << " at " << i << ": " << +a << " for " << +b);
    }
  });
}

/// golden.json of the folder.
inline gen::Json suite(const std::filesystem::path& folder) {
  return gen::Json::parse(read_text(folder / "golden.json"), 16);
}

inline gen::Model load(const std::filesystem::path& folder, const gen::Json& entry) {
  return gen::Model::load(folder / (*entry.find("file")->text() + ".onnx"), {gen::Device::Cpu, 1});
}

/// The outputs of a case of the suite.
inline gen::Outputs call(const gen::Model& model, const gen::Json& test_case) {
  const gen::Json* graph = test_case.find("graph");
  const gen::Json* batch = test_case.find("batch");
  if (graph == nullptr) return {};
  gen::Inputs inputs = inputs_of(test_case);
  if (batch == nullptr) return model.run(*graph->text(), inputs);
  const auto count = inputs.at("count").tensor()->item<std::int64_t>(),
             seed = inputs.at("seed").tensor()->item<std::int64_t>();
  inputs.erase("count");
  inputs.erase("seed");
  return {{"images", model.sample(count, seed, inputs, *batch->whole()).tensor()}};
}

/// Refuses another answer than the suite's.
inline void require_answer(const gen::Model& model, const gen::Json& test_case) {
  const std::string& name = *test_case.find("name")->text();
  const gen::Json* tolerance = test_case.find("tolerance");
  const gen::Outputs found = call(model, test_case);
  const auto& expected = *test_case.find("outputs")->object();
  CHECK(found.size() == expected.size(), name);
  for (const auto& [output, value] : expected) {
    require_equal(found.at(output), tensor_of(value), tolerance != nullptr ? tolerance->number() : 0,
                  name + ": " + output);
  }
}

}  // namespace test
