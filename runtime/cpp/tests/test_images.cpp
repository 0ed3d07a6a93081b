// Images: their grid, their file, the named calls, and that the program gen_sample writes what the library draws.

#include <vector>

#include "check.hpp"

namespace {

/// Grey images of 2 x 2 pixels: 1 2 3 4, 5 6 7 8 and again.
gen::Images grey(std::int64_t count) {
  std::vector<std::uint8_t> pixels;
  for (std::int64_t i = 0; i < count * 4; ++i) pixels.push_back(static_cast<std::uint8_t>(i % 8 + 1));
  return gen::Images(gen::Tensor({count, 2, 2, 1}, std::move(pixels)));
}

void a_grid_lays_images_out_row_by_row() {
  const gen::Image sheet = gen::grid(grey(3), 2, 1);
  const std::vector<std::uint8_t> expected = {1,   2,   128, 5, 6,   3,   4,   128, 7, 8,   128, 128, 128,
                                              128, 128, 1,   2, 128, 128, 128, 3,   4, 128, 128, 128};
  CHECK(sheet.height == 5 && sheet.width == 5 && sheet.pixels == expected, "grid");
  CHECK(gen::grid(grey(5)).width == 3 * 2 + 2 * 2, "about a square");
}

void a_grey_image_is_written_as_rgb(const std::filesystem::path& folder) {
  gen::save_ppm(folder / "grey.ppm", grey(2)[1]);
  CHECK(test::read_text(folder / "grey.ppm") == "P6\n2 2\n255\n\5\5\5\6\6\6\7\7\7\10\10\10", "PPM");
  CHECK(!std::filesystem::exists(folder / "grey.ppm.draft"), "no draft is left");
}

template <class Failure, class Body>
void require_refused(Body body, const std::string& says) {
  try {
    body();
  } catch (const Failure& error) {
    CHECK(std::string(error.what()).find(says) != std::string::npos, error.what());
    return;
  }
  CHECK(false, says << ": nothing was refused");
}

void what_cannot_be_written_is_refused(const std::filesystem::path& folder) {
  require_refused<gen::FileError>([&] { gen::save_ppm(folder / "no" / "such" / "folder.ppm", grey(1)[0]); },
                                  "cannot be written");
  require_refused<gen::PortError>([&] { gen::save_ppm(folder / "a.ppm", gen::Image{1, 1, 2, {0, 0}}); },
                                  "1 or 3 channels, found [1, 1, 2]");
  require_refused<gen::PortError>([] { grey(1)[1]; }, "expected an image below 1, found 1");
  require_refused<gen::PortError>([] { gen::Tensor({2, 2}, std::vector<float>(3)); }, "expected 4 values");
  require_refused<gen::PortError>([] { gen::Tensor(1.5).item<float>(); },
                                  "expected a tensor of float32, found one of float64");
}

void a_device_is_the_one_asked_for_or_an_error(const std::filesystem::path& file) {
  require_refused<gen::DeviceError>([&] { gen::Model::load(file, {gen::Device::Cpu, -1}); },
                                    "threads: expected at least 0");
  CHECK(gen::Model::load(file, {gen::Device::Cpu}).device() == gen::Device::Cpu, "cpu");
  CHECK(gen::Model::load(file).device() != gen::Device::Auto, "auto");
  try {
    CHECK(gen::Model::load(file, {gen::Device::Cuda}).device() == gen::Device::Cuda, "cuda");
  } catch (const gen::DeviceError& error) {
    CHECK(std::string(error.what()).find("device 'cuda': ") == 0, error.what());
  }
}

/// The calls of the README, and that the named graphs are those that `run` runs.
void named_calls_are_runs(const gen::Model& vae) {
  const gen::Tensor z({1, 6}, std::vector<float>{0.1F, -0.2F, 0.3F, 0.4F, -0.5F, 0.6F});
  const gen::Tensor image = vae.decode(z).at("image");
  test::require_equal(image, vae.run("decode", {{"z", z}}).at("image"), 0, "decode");
  CHECK(vae.encode(image).size() == 2 && vae.reconstruct(image).size() == 1, "encode and reconstruct");
  const auto borrowed = gen::Tensor::view<float>({1, 6}, z.data<float>());
  test::require_equal(vae.call("decode", borrowed).at("image"), image, 0, "a borrowed tensor");
  require_refused<gen::PortError>([&] { vae.decode(z, z); }, "decode takes 1 inputs, found 2");
}

void progress_counts_images(const gen::Model& vae) {
  std::vector<std::int64_t> seen;
  vae.sample(5, 7, {}, 2, [&seen](std::int64_t done, std::int64_t) { seen.push_back(done); });
  CHECK((seen == std::vector<std::int64_t>{2, 4, 5}), "progress");
}

void the_program_writes_what_the_library_draws(const std::string& program, const std::filesystem::path& suite,
                                               const std::filesystem::path& folder) {
  const auto model = suite / "gaussian.onnx", ours = folder / "ours.ppm", theirs = folder / "theirs.ppm";
  const std::string options =
      " --seed 7 --count 4 --first 2 --set steps=5 --set solver=heun --set eta=0.0 --device cpu --ppm ";
  CHECK(std::system(
            ("\"" + program + "\" \"" + model.string() + "\"" + options + "\"" + theirs.string() + "\"").c_str()) == 0,
        program);
  const auto images = gen::Model::load(model).sample(4, 7, {{"first", 2}, {"steps", 5}, {"solver", "heun"}});
  gen::save_ppm(ours, gen::grid(images));
  CHECK(test::read_text(ours) == test::read_text(theirs), "PPM");
  CHECK(std::system(("\"" + program + "\" \"" + model.string() + "\" --set steps=0").c_str()) != 0,
        "a refusal is an exit code");
}

}  // namespace

int main(int, char** argv) {
  return test::run([&] {
    const std::filesystem::path suite = argv[1], folder = argv[2];
    std::filesystem::create_directories(folder);
    const auto vae = gen::Model::load(suite / "vae.onnx", {gen::Device::Cpu, 1});
    a_grid_lays_images_out_row_by_row();
    a_grey_image_is_written_as_rgb(folder);
    what_cannot_be_written_is_refused(folder);
    a_device_is_the_one_asked_for_or_an_error(suite / "vae.onnx");
    named_calls_are_runs(vae);
    progress_counts_images(vae);
    the_program_writes_what_the_library_draws(argv[3], suite, folder);
  });
}
