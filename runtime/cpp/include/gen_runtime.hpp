// Run files that gen-export wrote, with ONNX Runtime alone.
//
//     const auto model = gen::Model::load("diffusion.onnx");
//     const auto images = model.sample(16, 7, {{"steps", 20}, {"solver", "heun"}});
//     gen::save_ppm("out.ppm", gen::grid(images));
#pragma once

#include "gen_runtime/card.hpp"
#include "gen_runtime/errors.hpp"
#include "gen_runtime/graph.hpp"
#include "gen_runtime/image.hpp"
#include "gen_runtime/inputs.hpp"
#include "gen_runtime/model.hpp"
#include "gen_runtime/onnxruntime.hpp"
#include "gen_runtime/tensor.hpp"
