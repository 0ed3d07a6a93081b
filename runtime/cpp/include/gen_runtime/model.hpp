// A model: the file a user calls, and the parts beside it, opened when first called.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "graph.hpp"
#include "image.hpp"

namespace gen {

/// Called with the images done and the images in all, after each batch.
using Progress = std::function<void(std::int64_t, std::int64_t)>;

/// Graphs by name. Copies share what is open, and all methods may be called from many threads at once.
class Model {
 public:
  /// Opens `<name>.onnx`, or one of its parts `<name>.<graph>.onnx`.
  ///
  /// Throws FileError when the file is missing, broken, not one of ours or too new; DeviceError when the device, or
  /// ONNX Runtime itself, is not there.
  static Model load(const std::filesystem::path& path, const LoadOptions& options = {}) {
    return Model(std::make_shared<const Graph>(path, options), options);
  }

  const std::filesystem::path& path() const { return main_->path(); }
  const Card& card() const { return main_->card(); }
  Device device() const { return main_->device(); }

  /// The names that can be called: the file's own graph, then its parts.
  std::vector<std::string> graphs() const {
    std::vector<std::string> names = {card().graph};
    names.insert(names.end(), card().parts.begin(), card().parts.end());
    return names;
  }

  /// The graph of this name, opened when it is first asked for.
  ///
  /// Throws GraphError when the file declares none; FileError when the part's file is missing or broken.
  const Graph& graph(const std::string& name) const {
    const std::lock_guard<std::mutex> lock(parts_->mutex);
    const auto found = parts_->opened.find(name);
    if (found != parts_->opened.end()) return *found->second;
    return *parts_->opened.emplace(name, open_part(name, part_path(name))).first->second;
  }

  /// Runs a graph on inputs by name; every output by name. Throws PortError, and what `graph` throws.
  Outputs run(const std::string& name, const Inputs& inputs) const { return graph(name).run(inputs); }

  /// Runs a graph on values in the order of its inputs: `model.call("denoise", x, t)`.
  template <class... Values>
  Outputs call(const std::string& name, Values&&... values) const {
    return graph(name).run_in_order({Value(std::forward<Values>(values))...});
  }

  /// `call("encode", ..)`, and so on: the graphs that most families have.
  template <class... Values>
  Outputs encode(Values&&... values) const {
    return call("encode", std::forward<Values>(values)...);
  }
  template <class... Values>
  Outputs decode(Values&&... values) const {
    return call("decode", std::forward<Values>(values)...);
  }
  template <class... Values>
  Outputs reconstruct(Values&&... values) const {
    return call("reconstruct", std::forward<Values>(values)...);
  }

  /// Draws images. Image i depends on `seed` and `first + i` alone, so neither `batch` nor `count` changes it.
  ///
  /// `inputs` are the file's further inputs, as `{{"first", 100}, {"steps", 20}}`; `batch` images are drawn in a run of
  /// the graph, which bounds the memory. Throws GraphError when the file has no sampler, FileError when
  /// that draws no images, and PortError.
  Images sample(std::int64_t count = 1, std::int64_t seed = 0, Inputs inputs = {}, std::int64_t batch = 64,
                const Progress& progress = {}) const;

 private:
  struct Parts {
    std::mutex mutex;
    std::map<std::string, std::shared_ptr<const Graph>> opened;
  };

  Model(std::shared_ptr<const Graph> main, const LoadOptions& options) : main_(std::move(main)), options_(options) {
    parts_->opened.emplace(card().graph, main_);
  }

  std::filesystem::path part_path(const std::string& name) const {
    const auto names = graphs();
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      throw GraphError(path().string() + " has no graph '" + name + "': it has " +
                       detail::joined(names, [](const auto& n) { return n; }));
    }
    std::filesystem::path file = path();
    const bool onnx = file.extension() == ".onnx";
    return file.replace_filename((onnx ? file.stem() : file.filename()).string() + "." + name + ".onnx");
  }

  /// Opens a part and checks that it is the one meant.
  std::shared_ptr<const Graph> open_part(const std::string& name, const std::filesystem::path& file) const {
    if (!std::filesystem::is_regular_file(file)) {
      throw FileError(path().string() + " needs its part " + name + ": expected the file " + file.string());
    }
    auto part = std::make_shared<const Graph>(file, LoadOptions{device(), options_.threads});
    if (part->card().family != card().family || part->card().graph != name) {
      throw FileError(file.string() + ": expected " + card().family + " " + name + ", found " + part->card().family +
                      " " + part->card().graph);
    }
    return part;
  }

  std::shared_ptr<const Graph> main_;
  LoadOptions options_;
  std::shared_ptr<Parts> parts_ = std::make_shared<Parts>();
};

namespace detail {

/// Most values of one result: 8 GB of bytes.
inline constexpr std::int64_t largest_result = std::int64_t{1} << 33;

inline void require_positive(const char* name, std::int64_t value) {
  if (value < 1)
    throw PortError(std::string("sample: ") + name + ": expected at least 1, found " + std::to_string(value));
}

/// Refuses a sampler whose card declares anything else than images of its own size.
inline void require_images(const Graph& sampler) {
  const ImageShape& size = sampler.card().image;
  const Port& images = sampler.card().outputs.front();
  const std::string expected = "[count, " + std::to_string(size.height) + ", " + std::to_string(size.width) + ", " +
                               std::to_string(size.channels) + "]";
  const std::string found = shape_text(images, {});
  if (images.dtype != DType::UInt8 || found != expected) {
    throw FileError(sampler.path().string() + ": expected images, uint8 " + expected + ", found " +
                    name_of(images.dtype) + " " + found);
  }
}

/// The index of the first image that the inputs ask for, so that as many as `count` follow it.
inline std::int64_t first_image(const Inputs& inputs, std::int64_t count) {
  const auto found = inputs.find("first");
  if (found == inputs.end()) return 0;
  const Tensor* tensor = found->second.tensor();
  if (tensor == nullptr || tensor->dtype() != DType::Int64 || !tensor->shape().empty()) {
    throw PortError("sample: first: expected one whole number");
  }
  const auto first = tensor->item<std::int64_t>();
  if (first > std::numeric_limits<std::int64_t>::max() - count) {
    throw PortError("sample: first + count: expected at most 2^63 - 1, found " + std::to_string(first) + " + " +
                    std::to_string(count));
  }
  return first;
}

}  // namespace detail

inline Images Model::sample(std::int64_t count, std::int64_t seed, Inputs inputs, std::int64_t batch,
                            const Progress& progress) const {
  const Graph& sampler = graph("sample");
  detail::require_images(sampler);
  detail::require_positive("count", count);
  detail::require_positive("batch", batch);
  const ImageShape& image = sampler.card().image;
  const std::int64_t most = detail::largest_result / image.height / image.width / image.channels;
  if (count > most)
    throw PortError("sample: count: expected at most " + std::to_string(most) + ", found " + std::to_string(count));
  const std::int64_t first = detail::first_image(inputs, count);
  inputs.insert_or_assign("seed", seed);
  std::vector<std::uint8_t> pixels;
  for (std::int64_t done = 0; done < count; done += batch) {
    inputs.insert_or_assign("count", std::min(batch, count - done));
    if (done > 0) inputs.insert_or_assign("first", first + done);
    const Tensor images = sampler.run(inputs).begin()->second;
    if (progress) progress(std::min(done + batch, count), count);
    if (batch >= count) return Images(images);
    pixels.insert(pixels.end(), images.begin<std::uint8_t>(), images.end<std::uint8_t>());
  }
  return Images(Tensor({count, image.height, image.width, image.channels}, std::move(pixels)));
}

}  // namespace gen
