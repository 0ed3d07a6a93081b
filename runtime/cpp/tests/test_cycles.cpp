// Loads, runs and frees a model again and again: test_cycles FOLDER COUNT. A sanitizer or valgrind sees the leaks.

#include "check.hpp"

int main(int, char** argv) {
  return test::run([&] {
    const std::filesystem::path folder = argv[1];
    const int count = std::stoi(argv[2]);
    gen::Tensor first(0.0F);
    for (int i = 0; i < count; ++i) {
      const auto model = gen::Model::load(folder / "gan.onnx", {gen::Device::Cpu, 1});
      const gen::Tensor images = model.sample(2, 7).tensor();
      if (i == 0) first = images;
      test::require_equal(images, first, 0, "cycle " + std::to_string(i));
      try {
        model.run("sample", {{"seed", 7}});
        CHECK(false, "a missing input was not refused");
      } catch (const gen::PortError&) {
      }
      try {
        gen::Model::load(folder / "broken" / "truncated.onnx", {gen::Device::Cpu, 1});
        CHECK(false, "a truncated file was not refused");
      } catch (const gen::FileError&) {
      }
    }
  });
}
