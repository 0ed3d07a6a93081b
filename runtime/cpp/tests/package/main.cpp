#include <gen_runtime.hpp>
#include <iostream>

int main(int argc, char** argv) try {
  const auto model = gen::Model::load(argc > 1 ? argv[1] : "diffusion.onnx");
  const gen::Images images = model.sample(16, 7, {{"steps", 10}, {"solver", "heun"}});
  gen::save_ppm("out.ppm", gen::grid(images));
} catch (const gen::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
