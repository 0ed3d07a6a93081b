// Images of bytes, laid out as a grid and written as PPM.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "errors.hpp"
#include "tensor.hpp"

namespace gen {

/// One image: pixels row by row, channels together, 0 black to 255 white.
struct Image {
  std::int64_t height = 0, width = 0, channels = 0;
  std::vector<std::uint8_t> pixels;
};

/// Images of one size, uint8 [count, height, width, channels].
class Images {
 public:
  /// Throws PortError when the tensor is not one of images.
  explicit Images(Tensor tensor) : tensor_(std::move(tensor)) {
    if (tensor_.dtype() != DType::UInt8 || tensor_.shape().size() != 4 || tensor_.size() == 0) {
      throw PortError("expected images, uint8 [count, height, width, channels], found " + name_of(tensor_.dtype()) +
                      " " + text_of(tensor_.shape()));
    }
  }

  const Tensor& tensor() const { return tensor_; }
  std::size_t size() const { return static_cast<std::size_t>(tensor_.shape()[0]); }
  std::int64_t height() const { return tensor_.shape()[1]; }
  std::int64_t width() const { return tensor_.shape()[2]; }
  std::int64_t channels() const { return tensor_.shape()[3]; }
  const std::uint8_t* data() const { return tensor_.data<std::uint8_t>(); }

  /// A copy of one image. Throws PortError beyond the last.
  Image operator[](std::size_t index) const {
    if (index >= size())
      throw PortError("expected an image below " + std::to_string(size()) + ", found " + std::to_string(index));
    const auto pixels = static_cast<std::size_t>(height() * width() * channels());
    const std::uint8_t* first = data() + index * pixels;
    return {height(), width(), channels(), {first, first + pixels}};
  }

 private:
  Tensor tensor_;
};

/// Lays images out row by row on mid-grey, `gap` pixels apart; about a square where `columns` is 0.
inline Image grid(const Images& images, std::int64_t columns = 0, std::int64_t gap = 2) {
  const auto count = static_cast<std::int64_t>(images.size());
  if (columns < 0 || gap < 0) throw PortError("grid: expected columns and gap of at least 0");
  if (columns == 0) columns = static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  columns = std::min(columns, count);
  const std::int64_t rows = (count + columns - 1) / columns, row = images.width() * images.channels();
  Image sheet{rows * (images.height() + gap) - gap, columns * (images.width() + gap) - gap, images.channels(), {}};
  const std::int64_t line = sheet.width * sheet.channels;
  sheet.pixels.assign(static_cast<std::size_t>(sheet.height * line), 128);
  for (std::int64_t y = 0; y < count * images.height(); ++y) {
    const std::int64_t index = y / images.height();
    const std::int64_t top = index / columns * (images.height() + gap) + y % images.height();
    const std::int64_t left = index % columns * (images.width() + gap) * images.channels();
    std::copy_n(images.data() + y * row, row, sheet.pixels.begin() + top * line + left);
  }
  return sheet;
}

namespace detail {

/// Writes a draft beside the target, then gives it its name: the file is whole or not there. Throws FileError.
inline void write_whole(const std::filesystem::path& path, const std::string& content) {
  const std::filesystem::path draft = path.string() + ".draft";
  std::error_code problem;
  std::ofstream file(draft, std::ios::binary);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  if (file) std::filesystem::rename(draft, path, problem);
  if (!file || problem) {
    std::filesystem::remove(draft, problem);
    throw FileError(path.string() + ": cannot be written");
  }
}

}  // namespace detail

/// Writes one image of 1 channel (grey) or 3 (RGB) as a binary PPM. Throws FileError, and PortError for another image.
inline void save_ppm(const std::filesystem::path& path, const Image& image) {
  const auto size = static_cast<std::size_t>(image.height * image.width * image.channels);
  if (size == 0 || image.pixels.size() != size || (image.channels != 1 && image.channels != 3)) {
    throw PortError("save_ppm: expected an image of 1 or 3 channels, found " +
                    text_of(Shape{image.height, image.width, image.channels}));
  }
  std::string content = "P6\n" + std::to_string(image.width) + " " + std::to_string(image.height) + "\n255\n";
  for (const std::uint8_t value : image.pixels) {
    content.append(image.channels == 1 ? 3 : 1, static_cast<char>(value));
  }
  detail::write_whole(path, content);
}

}  // namespace gen
