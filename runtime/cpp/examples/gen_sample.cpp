// Draws images into one PPM: gen_sample model.onnx --seed 7 --count 16 --ppm out.ppm --set steps=20 --set solver=heun

#include <charconv>
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include "gen_runtime.hpp"

namespace {

constexpr const char* usage =
    "usage: gen_sample MODEL.onnx [--seed N] [--count N] [--first N] [--ppm FILE] [--columns N]\n"
    "                  [--device auto|cpu|cuda] [--threads N] [--library ONNXRUNTIME] [--set NAME=VALUE]...";

struct Arguments {
  std::string model, ppm = "out.ppm", library;
  std::int64_t seed = 0, count = 16, columns = 0;
  gen::Inputs inputs;
  gen::LoadOptions load;
};

template <class T>
bool read_number(const std::string& text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

template <class T>
T number(const std::string& option, const std::string& text) {
  T value = 0;
  if (!read_number(text, value)) throw gen::PortError(option + ": expected a whole number, found '" + text + "'");
  return value;
}

gen::Device device(const std::string& name) {
  if (name == "cpu") return gen::Device::Cpu;
  if (name == "cuda") return gen::Device::Cuda;
  if (name == "auto") return gen::Device::Auto;
  throw gen::DeviceError("--device: expected auto, cpu or cuda, found '" + name + "'");
}

/// NAME=VALUE as an input: a whole number, another number, or the name of a choice.
void set(gen::Inputs& inputs, const std::string& assignment) {
  const auto at = assignment.find('=');
  if (at == std::string::npos) throw gen::PortError("--set: expected NAME=VALUE, found '" + assignment + "'");
  const std::string name = assignment.substr(0, at), text = assignment.substr(at + 1);
  std::int64_t whole = 0;
  double real = 0;
  if (read_number(text, whole)) inputs.insert_or_assign(name, whole);
  else if (read_number(text, real)) inputs.insert_or_assign(name, real);
  else inputs.insert_or_assign(name, text);
}

Arguments parse(const std::vector<std::string>& words) {
  Arguments arguments;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& option = words[i];
    if (option.compare(0, 2, "--") != 0) {
      if (!arguments.model.empty()) throw gen::PortError("expected one model, found '" + option + "' as well");
      arguments.model = option;
      continue;
    }
    if (i + 1 == words.size()) throw gen::PortError(option + " needs a value");
    const std::string& value = words[++i];
    if (option == "--seed") arguments.seed = number<std::int64_t>(option, value);
    else if (option == "--count") arguments.count = number<std::int64_t>(option, value);
    else if (option == "--first") arguments.inputs.insert_or_assign("first", number<std::int64_t>(option, value));
    else if (option == "--columns") arguments.columns = number<std::int64_t>(option, value);
    else if (option == "--threads") arguments.load.threads = number<int>(option, value);
    else if (option == "--device") arguments.load.device = device(value);
    else if (option == "--ppm") arguments.ppm = value;
    else if (option == "--library") arguments.library = value;
    else if (option == "--set") set(arguments.inputs, value);
    else throw gen::PortError("unknown option " + option);
  }
  if (arguments.model.empty()) throw gen::PortError(std::string("expected a model\n") + usage);
  return arguments;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Arguments arguments = parse({argv + 1, argv + argc});
    if (!arguments.library.empty()) gen::use_onnxruntime(arguments.library);
    const auto model = gen::Model::load(arguments.model, arguments.load);
    const auto images = model.sample(arguments.count, arguments.seed, arguments.inputs);
    gen::save_ppm(arguments.ppm, gen::grid(images, arguments.columns));
    std::cout << arguments.ppm << ": " << images.size() << " images of " << images.width() << " x " << images.height()
              << "\n";
    return 0;
  } catch (const gen::Error& error) {
    std::cerr << "gen_sample: " << error.what() << "\n";
    return 1;
  }
}
