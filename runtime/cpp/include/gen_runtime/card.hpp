// The card: what a file says of itself, one JSON document in its ONNX metadata.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "errors.hpp"
#include "json.hpp"
#include "tensor.hpp"
#include "text.hpp"

namespace gen {

/// One axis of a port: a size, or the name of a free axis that all ports of the graph share.
using Axis = std::variant<std::int64_t, std::string>;

inline std::string text_of(const Axis& axis) {
  const auto* size = std::get_if<std::int64_t>(&axis);
  return size != nullptr ? std::to_string(*size) : std::get<std::string>(axis);
}

/// One named, typed, bounded input or output.
struct Port {
  std::string name;
  DType dtype = DType::Float32;
  std::vector<Axis> shape;
  std::string description;
  std::optional<double> minimum, maximum, default_value;
  bool optional = false;             ///< The caller may leave it out.
  std::vector<std::string> choices;  ///< Names of the values 0, 1, ..; a caller may give the name.
};

/// The size of the images that a file makes or takes, in pixels.
struct ImageShape {
  std::int64_t height = 0, width = 0, channels = 0;
};

/// What one file says of itself.
struct Card {
  static constexpr std::string_view key = "gen_export";
  static constexpr std::int64_t newest_version = 1;
  static constexpr std::size_t longest = std::size_t{1} << 20;  ///< Bytes; a card has a few thousand.
  static constexpr int deepest = 32;                            ///< Objects and lists in one another; a card has five.

  std::int64_t version = 0;
  std::string family, graph, summary;
  ImageShape image;
  std::vector<Port> inputs, outputs;
  std::vector<std::string> parts;  ///< The graphs in the files beside this one.
  Json document;                   ///< All of it: config, schedule, data, training, parity, ...
  std::string text;                ///< The document as it stands in the file.

  /// The card that a document describes; `source` is the file it came from. Throws FileError.
  static Card parse(std::string text, const std::string& source);
};

namespace detail {

/// A field of the card is not what it has to be.
class Malformed : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A field of the card is not there.
class Lacking : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

inline bool is_identifier(const std::string& text) {
  return !text.empty() && is_letter(text[0]) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_letter(c) || is_digit(c); });
}

/// Whether it names a graph or a family; nothing else may become part of a file's name.
inline bool is_plain_name(const std::string& text) {
  return !text.empty() && text[0] >= 'a' && text[0] <= 'z' && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || is_digit(c) || c == '_';
  });
}

inline const Json& member(const Json& object, const char* name) {
  const Json* value = object.find(name);
  if (value == nullptr) throw Lacking(name);
  return *value;
}

inline const std::string& text_member(const Json& object, const char* name) {
  const std::string* text = member(object, name).text();
  if (text == nullptr) throw Malformed(std::string(name) + " must be text");
  return *text;
}

inline const Json::Array& list_of(const Json& value, const std::string& name) {
  if (value.array() == nullptr) throw Malformed(name + " must be a list");
  return *value.array();
}

inline std::string plain_name(const Json& value) {
  const std::string* text = value.text();
  if (text == nullptr || !is_plain_name(*text)) {
    throw Malformed("expected a name of a-z, 0-9 and _, found " + (text != nullptr ? quoted(*text) : "no text"));
  }
  return *text;
}

inline void require_only(const Json& object, std::initializer_list<std::string_view> known, const std::string& what) {
  if (object.object() == nullptr) throw Malformed(what + " must be an object");
  for (const auto& [name, value] : *object.object()) {
    if (std::find(known.begin(), known.end(), name) == known.end())
      throw Malformed(what + " has a field " + quoted(name));
  }
}

inline std::int64_t positive(const Json& value, const std::string& what) {
  if (value.whole() == nullptr || *value.whole() < 1) throw Malformed(what + " must be a whole number of at least 1");
  return *value.whole();
}

inline Axis axis_of(const Json& value, const std::string& port) {
  if (value.text() == nullptr) return positive(value, "port " + port + ": a size");
  if (!is_identifier(*value.text())) throw Malformed("port " + port + ": shape must hold sizes and names");
  return *value.text();
}

inline DType dtype_named(const std::string& name, const std::string& port) {
  const auto found = std::find(dtype_names.begin(), dtype_names.end(), name);
  if (found == dtype_names.end()) throw Malformed("port " + port + ": dtype " + quoted(name) + " is unknown");
  return static_cast<DType>(found - dtype_names.begin());
}

inline std::optional<double> bound_of(const Json& port, const char* field) {
  const Json* value = port.find(field);
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (!value->is_number()) throw Malformed("port: " + std::string(field) + " must be a finite number");
  return value->number();
}

inline std::vector<std::string> choices_of(const Json& value) {
  std::vector<std::string> names;
  for (const Json& item : list_of(value, "choices")) {
    if (item.text() == nullptr || !is_identifier(*item.text())) throw Malformed("choices must be names");
    names.push_back(*item.text());
  }
  return names;
}

inline Port port_of(const Json& fields) {
  require_only(fields,
               {"name", "dtype", "shape", "description", "minimum", "maximum", "default", "optional", "choices"},
               "a port");
  Port port;
  port.name = text_member(fields, "name");
  if (!is_identifier(port.name)) throw Malformed("a port's name must be an identifier, found " + quoted(port.name));
  port.dtype = dtype_named(text_member(fields, "dtype"), port.name);
  for (const Json& axis : list_of(member(fields, "shape"), "shape")) port.shape.push_back(axis_of(axis, port.name));
  port.minimum = bound_of(fields, "minimum");
  port.maximum = bound_of(fields, "maximum");
  port.default_value = bound_of(fields, "default");
  if (fields.find("description") != nullptr) port.description = text_member(fields, "description");
  if (const Json* optional = fields.find("optional")) {
    if (optional->boolean() == nullptr) throw Malformed("port " + port.name + ": optional must be true or false");
    port.optional = *optional->boolean();
  }
  if (const Json* choices = fields.find("choices")) port.choices = choices_of(*choices);
  return port;
}

inline std::vector<Port> ports_of(const Json& document, const char* name) {
  std::vector<Port> ports;
  for (const Json& fields : list_of(member(document, name), name)) ports.push_back(port_of(fields));
  return ports;
}

inline ImageShape image_of(const Json& fields) {
  require_only(fields, {"height", "width", "channels"}, "image");
  return {positive(member(fields, "height"), "image height"), positive(member(fields, "width"), "image width"),
          positive(member(fields, "channels"), "image channels")};
}

/// Refuses ports that hold images of another size than the card says.
inline void require_image_sizes(const std::vector<Port>& ports, const ImageShape& image) {
  const std::vector<Axis> planes = {image.channels, image.height, image.width};
  const std::vector<Axis> pixels = {image.height, image.width, image.channels};
  for (const Port& port : ports) {
    const bool bytes = port.name == "images";
    if (!bytes && port.name != "image" && port.name != "x" && port.name != "x0") continue;
    if (port.shape.size() == 4 &&
        !std::equal(port.shape.begin() + 1, port.shape.end(), (bytes ? pixels : planes).begin())) {
      throw Malformed("port " + port.name + ": expected images of the card's size, found another");
    }
  }
}

/// The JSON object, once its length, depth and version are known to be ours.
inline Json card_document(const std::string& text, const std::string& source) {
  if (text.size() > Card::longest) {
    throw FileError(source + ": expected a card of at most " + std::to_string(Card::longest) + " characters, found " +
                    std::to_string(text.size()));
  }
  if (!is_utf8(text)) throw FileError(source + ": its metadata is not UTF-8 text");
  Json document;
  try {
    document = Json::parse(text, Card::deepest);
  } catch (const JsonDepthError&) {
    throw FileError(source + ": expected a card at most " + std::to_string(Card::deepest) +
                    " levels deep, found a deeper one");
  } catch (const JsonError& error) {
    throw FileError(source + ": its card is not JSON: " + error.what());
  }
  const Json* version = document.find("version");
  const std::string newest = std::to_string(Card::newest_version);
  if (version == nullptr || version->whole() == nullptr || *version->whole() < 1) {
    throw FileError(source + ": its card has no version, expected " + newest);
  }
  if (*version->whole() > Card::newest_version) {
    throw FileError(source + ": its card has version " + std::to_string(*version->whole()) +
                    ", this package reads up to " + newest + ": upgrade it");
  }
  return document;
}

inline Card card_of(Json document, std::string text) {
  Card card;
  card.version = *member(document, "version").whole();
  card.family = plain_name(member(document, "family"));
  card.graph = plain_name(member(document, "graph"));
  card.image = image_of(member(document, "image"));
  card.inputs = ports_of(document, "inputs");
  card.outputs = ports_of(document, "outputs");
  if (document.find("summary") != nullptr) card.summary = text_member(document, "summary");
  if (const Json* parts = document.find("parts")) {
    for (const Json& part : list_of(*parts, "parts")) card.parts.push_back(plain_name(part));
  }
  require_image_sizes(card.inputs, card.image);
  require_image_sizes(card.outputs, card.image);
  card.document = std::move(document);
  card.text = std::move(text);
  return card;
}

}  // namespace detail

inline Card Card::parse(std::string text, const std::string& source) {
  Json document = detail::card_document(text, source);
  try {
    return detail::card_of(std::move(document), std::move(text));
  } catch (const detail::Lacking& error) {
    throw FileError(source + ": its card lacks the field '" + error.what() + "'");
  } catch (const detail::Malformed& error) {
    throw FileError(source + ": its card has a malformed field: " + error.what());
  }
}

}  // namespace gen
