// One opened file: its card, and the session that runs it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "card.hpp"
#include "inputs.hpp"
#include "onnxruntime.hpp"

namespace gen {

namespace detail {

inline ONNXTensorElementDataType onnx_type(DType dtype) {
  return with_type(dtype, [](auto zero) { return Ort::TypeToTensorType<decltype(zero)>::type; });
}

/// ONNX Runtime's name of a type, as its Python package says it.
inline std::string type_text(ONNXTensorElementDataType type) {
  for (std::size_t i = 0; i < dtype_names.size(); ++i) {
    const auto dtype = static_cast<DType>(i);
    if (onnx_type(dtype) != type) continue;
    if (dtype == DType::Float32) return "tensor(float)";
    return dtype == DType::Float64 ? "tensor(double)" : "tensor(" + name_of(dtype) + ")";
  }
  return "another type";
}

/// What the graph says of one of its values.
struct Declared {
  std::string type;
  std::vector<std::optional<std::int64_t>> sizes;
  std::string shape;
};

using DeclaredValues = std::map<std::string, Declared>;

inline Declared declared(const Ort::TypeInfo& info) {
  if (info.GetONNXType() != ONNX_TYPE_TENSOR) return {"no tensor", {}, "[]"};
  const auto tensor = info.GetTensorTypeAndShapeInfo();
  const auto shape = tensor.GetShape();
  std::vector<const char*> names(shape.size());
  if (!shape.empty()) tensor.GetSymbolicDimensions(names.data(), names.size());
  Declared value{type_text(tensor.GetElementType()), {}, ""};
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const bool free = shape[i] < 0;
    value.sizes.push_back(free ? std::nullopt : std::optional(shape[i]));
    value.shape += (i == 0 ? "" : ", ") + (!free ? std::to_string(shape[i]) : *names[i] != '\0' ? names[i] : "None");
  }
  value.shape = "[" + value.shape + "]";
  return value;
}

template <class Name, class Info>
DeclaredValues declared_values(std::size_t count, Name name, Info info) {
  Ort::AllocatorWithDefaultOptions allocator;
  DeclaredValues values;
  for (std::size_t i = 0; i < count; ++i) values.emplace(name(i, allocator).get(), declared(info(i)));
  return values;
}

inline DeclaredValues required_inputs(const Ort::Session& s) {
  return declared_values(
      s.GetInputCount(), [&](auto i, auto& a) { return s.GetInputNameAllocated(i, a); },
      [&](auto i) { return s.GetInputTypeInfo(i); });
}

inline DeclaredValues optional_inputs(const Ort::Session& s) {
  return declared_values(
      s.GetOverridableInitializerCount(),
      [&](auto i, auto& a) { return s.GetOverridableInitializerNameAllocated(i, a); },
      [&](auto i) { return s.GetOverridableInitializerTypeInfo(i); });
}

inline DeclaredValues outputs_of(const Ort::Session& s) {
  return declared_values(
      s.GetOutputCount(), [&](auto i, auto& a) { return s.GetOutputNameAllocated(i, a); },
      [&](auto i) { return s.GetOutputTypeInfo(i); });
}

inline std::string types_text(const std::map<std::string, std::string>& types) {
  return "{" + joined(types, [](const auto& type) { return "'" + type.first + "': '" + type.second + "'"; }) + "}";
}

/// Refuses a file whose card declares other values than its graph has.
inline void require_same_types(const std::string& source, const char* what, const std::vector<Port>& ports,
                               const DeclaredValues& graph) {
  std::map<std::string, std::string> expected, found;
  for (const Port& port : ports) expected.emplace(port.name, type_text(onnx_type(port.dtype)));
  for (const auto& [name, value] : graph) found.emplace(name, value.type);
  if (expected != found || expected.size() != ports.size()) {
    throw FileError(source + ": its card declares the " + what + " " + types_text(expected) + ", its graph has " +
                    types_text(found));
  }
}

inline std::vector<std::optional<std::int64_t>> sizes_of(const Port& port) {
  std::vector<std::optional<std::int64_t>> sizes;
  for (const Axis& axis : port.shape) {
    const auto* size = std::get_if<std::int64_t>(&axis);
    sizes.push_back(size != nullptr ? std::optional(*size) : std::nullopt);
  }
  return sizes;
}

/// Whether a graph's output has another rank or size than its port says; an empty shape is also an unknown rank.
inline bool contradicts(const Port& port, const Declared& value) {
  const auto said = sizes_of(port);
  if (said.size() != value.sizes.size()) return !value.sizes.empty();
  for (std::size_t i = 0; i < said.size(); ++i) {
    if (said[i] && value.sizes[i] && said[i] != value.sizes[i]) return true;
  }
  return false;
}

/// Refuses a file whose card declares other ports than its graph: whoever makes an input believes the card.
inline void check_ports(const std::string& source, const Card& card, const Ort::Session& session) {
  std::vector<Port> required, optional;
  for (const Port& port : card.inputs) (port.optional ? optional : required).push_back(port);
  const DeclaredValues inputs = required_inputs(session), defaults = optional_inputs(session),
                       outputs = outputs_of(session);
  require_same_types(source, "required inputs", required, inputs);
  require_same_types(source, "optional inputs", optional, defaults);
  require_same_types(source, "outputs", card.outputs, outputs);
  const auto refuse = [&source](const Port& port, const Declared& value) {
    throw FileError(source + ": its card declares " + port.name + " with the shape " + shape_text(port, {}) +
                    ", its graph " + value.shape);
  };
  for (const Port& port : card.inputs) {
    const Declared& value = (port.optional ? defaults : inputs).at(port.name);
    if (sizes_of(port) != value.sizes) refuse(port, value);
  }
  for (const Port& port : card.outputs) {
    if (contradicts(port, outputs.at(port.name))) refuse(port, outputs.at(port.name));
  }
}

inline Card card_of_session(const Ort::Session& session, const std::string& source) {
  Ort::AllocatorWithDefaultOptions allocator;
  const auto text =
      session.GetModelMetadata().LookupCustomMetadataMapAllocated(std::string(Card::key).c_str(), allocator);
  if (text == nullptr) {
    throw FileError(source + ": an ONNX file without the metadata key '" + std::string(Card::key) +
                    "': gen-export did not write it");
  }
  return Card::parse(text.get(), source);
}

}  // namespace detail

/// A graph that can be run, from many threads at once.
class Graph {
 public:
  /// Opens one file. Throws FileError when it is missing, broken or not one of ours, and DeviceError.
  Graph(std::filesystem::path path, const LoadOptions& options) : Graph(path, detail::open_session(path, options)) {}

  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  const std::filesystem::path& path() const { return path_; }
  const Card& card() const { return card_; }
  Device device() const { return device_; }

  /// Runs on inputs by name. Throws PortError when one is missing, unknown, or not what its port says.
  Outputs run(const Inputs& inputs) const { return execute(check(inputs)); }

  /// Runs on values in the order of the inputs. Throws PortError.
  Outputs run_in_order(const std::vector<Value>& values) const {
    if (values.size() > card_.inputs.size()) {
      throw PortError(card_.graph + " takes " + std::to_string(card_.inputs.size()) + " inputs, found " +
                      std::to_string(values.size()));
    }
    Inputs inputs;
    for (std::size_t i = 0; i < values.size(); ++i) inputs.emplace(card_.inputs[i].name, values[i]);
    return run(inputs);
  }

 private:
  Graph(std::filesystem::path path, std::pair<Ort::Session, Device> opened)
      : path_(std::move(path)), session_(std::move(opened.first)), device_(opened.second) {
    card_ = detail::card_of_session(session_, path_.string());
    detail::check_ports(path_.string(), card_, session_);
    for (const Port& port : card_.outputs) output_names_.push_back(port.name.c_str());
  }

  detail::Checked check(const Inputs& inputs) const { return detail::check_inputs(card_.graph, card_.inputs, inputs); }

  Outputs execute(detail::Checked checked) const {
    std::vector<const char*> names;
    std::vector<Ort::Value> values;
    names.reserve(checked.ports.size());
    values.reserve(checked.ports.size());
    for (std::size_t i = 0; i < checked.ports.size(); ++i) {
      names.push_back(checked.ports[i]->name.c_str());
      values.push_back(borrowed(checked.tensors[i]));
    }
    auto results = run_session(names, values);
    Outputs outputs;
    for (std::size_t i = 0; i < results.size(); ++i) {
      outputs.emplace(card_.outputs[i].name, taken(card_.outputs[i], std::move(results[i]), checked.axes));
    }
    return outputs;
  }

  std::vector<Ort::Value> run_session(const std::vector<const char*>& names,
                                      const std::vector<Ort::Value>& values) const {
    try {
      return session_.Run(Ort::RunOptions{nullptr}, names.data(), values.data(), values.size(), output_names_.data(),
                          output_names_.size());
    } catch (const Ort::Exception& error) {
      throw Error(path_.string() + ": ONNX Runtime failed: " + detail::first_line(error));
    }
  }

  /// A value on the tensor's own memory, which ONNX Runtime only reads.
  Ort::Value borrowed(const Tensor& tensor) const {
    const std::size_t size = with_type(tensor.dtype(), [](auto zero) { return sizeof zero; });
    return Ort::Value::CreateTensor(memory_, const_cast<void*>(tensor.bytes()),
                                    static_cast<std::size_t>(tensor.size()) * size, tensor.shape().data(),
                                    tensor.shape().size(), detail::onnx_type(tensor.dtype()));
  }

  /// A tensor on an output's own memory, once its shape is the port's.
  Tensor taken(const Port& port, Ort::Value value, detail::Axes& axes) const {
    const Shape shape = value.GetTensorTypeAndShapeInfo().GetShape();
    if (!detail::fits(port, shape, axes)) {
      throw FileError(path_.string() + ": " + port.name + ": its port says " + detail::shape_text(port, axes) +
                      ", found " + text_of(shape));
    }
    auto kept = std::make_shared<Ort::Value>(std::move(value));
    return Tensor(port.dtype, shape, std::shared_ptr<const void>(kept, kept->GetTensorRawData()));
  }

  std::filesystem::path path_;
  mutable Ort::Session session_;  // Run is not const, though any number of threads may call it
  Device device_;
  Card card_;
  std::vector<const char*> output_names_;
  Ort::MemoryInfo memory_ = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
};

}  // namespace gen
