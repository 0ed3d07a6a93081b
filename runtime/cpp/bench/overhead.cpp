// What this library adds to a bare call of ONNX Runtime: gen_runtime_overhead MODEL.onnx [GRAPH] [ROUNDS]
//
// One image of a sampler, or a graph at batch 1, is run in turns through Model and through Ort::Session with values
// made once; the figures are medians of wall-clock microseconds, and their difference is what we add.

#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>
#include <vector>

#include "gen_runtime.hpp"

namespace {

template <class Call>
double microseconds(Call call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

/// Zeros, and ones where zero is too little, for the inputs that must be given.
gen::Inputs smallest_inputs(const gen::Card& card) {
  gen::Inputs inputs;
  for (const gen::Port& port : card.inputs) {
    if (port.optional) continue;
    gen::Shape shape;
    for (const gen::Axis& axis : port.shape)
      shape.push_back(std::holds_alternative<std::string>(axis) ? 1 : std::get<std::int64_t>(axis));
    inputs.emplace(port.name, gen::with_type(port.dtype, [&](auto zero) {
                     using T = decltype(zero);
                     const T value = static_cast<T>(std::max(0.0, port.minimum.value_or(0.0)));
                     return gen::Tensor::make<T>(shape,
                                                 [&](T* values) { std::fill_n(values, gen::size_of(shape), value); });
                   }));
  }
  return inputs;
}

/// The same call on a session of its own, with values that are made once.
class Bare {
 public:
  Bare(const std::filesystem::path& path, const gen::Card& card, const gen::Inputs& inputs)
      : session_(gen::detail::open_session(path, {gen::Device::Cpu, 1}).first),
        checked_(gen::detail::check_inputs("bare", card.inputs, inputs)) {
    for (std::size_t i = 0; i < checked_.ports.size(); ++i) {
      const gen::Tensor& tensor = checked_.tensors[i];
      const std::size_t bytes = gen::with_type(tensor.dtype(), [](auto zero) { return sizeof zero; });
      names_.push_back(checked_.ports[i]->name.c_str());
      values_.push_back(Ort::Value::CreateTensor(memory_, const_cast<void*>(tensor.bytes()),
                                                 static_cast<std::size_t>(tensor.size()) * bytes, tensor.shape().data(),
                                                 tensor.shape().size(), gen::detail::onnx_type(tensor.dtype())));
    }
    for (const gen::Port& port : card.outputs) outputs_.push_back(port.name.c_str());
  }

  void run() {
    session_.Run(Ort::RunOptions{nullptr}, names_.data(), values_.data(), values_.size(), outputs_.data(),
                 outputs_.size());
  }

 private:
  Ort::Session session_;
  gen::detail::Checked checked_;
  Ort::MemoryInfo memory_ = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  std::vector<const char*> names_, outputs_;
  std::vector<Ort::Value> values_;
};

/// The medians of both calls, ours first in every other round.
template <class Ours, class Theirs>
std::pair<double, double> compared(int rounds, Ours ours, Theirs theirs) {
  constexpr int warm_up = 20;  // the first runs allocate
  std::vector<double> mine, floor;
  for (int round = 0; round < rounds + warm_up; ++round) {
    const double before = round % 2 == 0 ? microseconds(ours) : 0;
    const double bare = microseconds(theirs);
    const double one = round % 2 == 0 ? before : microseconds(ours);
    if (round < warm_up) continue;
    mine.push_back(one);
    floor.push_back(bare);
  }
  return {median(mine), median(floor)};
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 2) throw gen::PortError("usage: gen_runtime_overhead MODEL.onnx [GRAPH] [ROUNDS]");
  const auto model = gen::Model::load(argv[1], {gen::Device::Cpu, 1});
  const std::string name = argc > 2 ? argv[2] : model.card().graph;
  const gen::Graph& graph = model.graph(name);
  const gen::Inputs inputs = smallest_inputs(graph.card());
  Bare bare(graph.path(), graph.card(), inputs);
  const auto call = [&] {
    if (name == "sample") model.sample(1);
    else model.run(name, inputs);
  };
  const auto [ours, floor] = compared(argc > 3 ? std::stoi(argv[3]) : 2000, call, [&] { bare.run(); });
  std::cout << name << ": " << ours << " us, bare " << floor << " us: " << ours - floor << " us or "
            << 100 * (ours / floor - 1) << " % more\n";
} catch (const gen::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
