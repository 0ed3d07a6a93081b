// ONNX Runtime itself: its library, loaded at run time or linked, and sessions on the device that was asked for.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#if !defined(GEN_RUNTIME_LINKED) && !defined(ORT_API_MANUAL_INIT)
#define ORT_API_MANUAL_INIT
#endif
#include <onnxruntime_cxx_api.h>

#if !defined(GEN_RUNTIME_LINKED)
#if defined(_WIN32)
#if !defined(NOMINMAX)
#define NOMINMAX  // windows.h would define min and max as macros
#endif
#include <windows.h>
#else
#include <dlfcn.h>
#endif
#endif

#include "errors.hpp"

namespace gen {

/// Where graphs run. `Auto` is CUDA where it really loads, else the CPU; `Cuda` is an NVIDIA GPU or an error.
enum class Device { Auto, Cpu, Cuda };

/// How a file is opened.
struct LoadOptions {
  Device device = Device::Auto;
  int threads = 0;  ///< Threads that one operator may use on the CPU; 0 for ONNX Runtime's choice.
};

namespace detail {

#if defined(GEN_RUNTIME_LINKED)

inline const OrtApiBase* api_base(const std::filesystem::path&) { return OrtGetApiBase(); }

#else

#if defined(_WIN32)
inline constexpr const char* library_names[] = {"onnxruntime.dll"};
inline void* open_library(const std::filesystem::path& path) { return LoadLibraryW(path.c_str()); }
inline void* find_symbol(void* library, const char* name) {
  return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(library), name));
}
#elif defined(__APPLE__)
inline constexpr const char* library_names[] = {"libonnxruntime.dylib"};
#else
inline constexpr const char* library_names[] = {"libonnxruntime.so.1", "libonnxruntime.so"};
#endif
#if !defined(_WIN32)
inline void* open_library(const std::filesystem::path& path) { return dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL); }
inline void* find_symbol(void* library, const char* name) { return dlsym(library, name); }
#endif

/// The library's entry point. The library stays loaded: what it made may outlive all else.
inline const OrtApiBase* api_base(const std::filesystem::path& given) {
  const char* variable = std::getenv("GEN_RUNTIME_ONNXRUNTIME");
  std::vector<std::filesystem::path> candidates(std::begin(library_names), std::end(library_names));
  if (!given.empty()) candidates = {given};
  else if (variable != nullptr && *variable != '\0') candidates = {variable};
  for (const auto& candidate : candidates) {
    void* library = open_library(candidate);
    void* symbol = library != nullptr ? find_symbol(library, "OrtGetApiBase") : nullptr;
    if (symbol != nullptr) return reinterpret_cast<const OrtApiBase* (*)()>(symbol)();
  }
  throw DeviceError("ONNX Runtime is not there: expected the library " + candidates.front().string() +
                    ": name it to use_onnxruntime or in the variable GEN_RUNTIME_ONNXRUNTIME");
}

#endif

/// Makes the C++ API ready, once; the first path that works counts.
inline void ready_onnxruntime(const std::filesystem::path& library = {}) {
  static const bool ready = [&library] {
    const OrtApiBase* base = api_base(library);
    const OrtApi* api = base->GetApi(ORT_API_VERSION);
    if (api == nullptr) {
      throw DeviceError("ONNX Runtime: expected version 1." + std::to_string(ORT_API_VERSION) + " or newer, found " +
                        base->GetVersionString());
    }
#if !defined(GEN_RUNTIME_LINKED)
    Ort::InitApi(api);
#endif
    return true;
  }();
  static_cast<void>(ready);
}

inline Ort::Env& environment() {
  ready_onnxruntime();
  static Ort::Env env(ORT_LOGGING_LEVEL_ERROR, "gen_runtime");  // an optional input is a warning each
  return env;
}

/// What ONNX Runtime says went wrong, in one line.
inline std::string first_line(const Ort::Exception& error) {
  std::string line = error.what();
  line = line.substr(0, line.find('\n'));
  const std::string prefix = "Load model from ", end = " failed:";
  const std::size_t after = line.find(end);
  return line.compare(0, prefix.size(), prefix) == 0 && after != std::string::npos ? line.substr(after + end.size())
                                                                                   : line;
}

inline Ort::SessionOptions session_options(const LoadOptions& options) {
  Ort::SessionOptions session;
  session.SetLogSeverityLevel(ORT_LOGGING_LEVEL_ERROR);
  session.SetIntraOpNumThreads(options.threads);
  return session;
}

inline Ort::Session create_session(const std::filesystem::path& path, const Ort::SessionOptions& options) {
  try {
    return Ort::Session(environment(), path.c_str(), options);
  } catch (const Ort::Exception& error) {
    throw FileError(path.string() + ": ONNX Runtime cannot load it: " + first_line(error));
  }
}

/// A session that runs on CUDA. Throws DeviceError where CUDA does not load.
inline Ort::Session create_cuda_session(const std::filesystem::path& path, const LoadOptions& options) {
  const auto known = Ort::GetAvailableProviders();
  if (std::find(known.begin(), known.end(), "CUDAExecutionProvider") == known.end()) {
    throw DeviceError("device 'cuda': this ONNX Runtime is built without CUDA: expected its GPU build");
  }
  Ort::SessionOptions session = session_options(options);
  try {
    session.AppendExecutionProvider_CUDA(OrtCUDAProviderOptions{});
  } catch (const Ort::Exception& error) {
    throw DeviceError("device 'cuda': ONNX Runtime cannot load CUDA: " + first_line(error));
  }
  try {
    return create_session(path, session);
  } catch (const FileError& error) {
    create_session(path, session_options(options));  // a file that is broken everywhere says so, and not that CUDA is
    throw DeviceError(std::string("device 'cuda': CUDA does not start: ") + error.what());
  }
}

/// A session of an ONNX file, and the device it runs on. Throws FileError or DeviceError.
inline std::pair<Ort::Session, Device> open_session(const std::filesystem::path& path, const LoadOptions& options) {
  if (options.threads < 0) throw DeviceError("threads: expected at least 0, found " + std::to_string(options.threads));
  if (std::filesystem::is_directory(path)) throw FileError(path.string() + ": expected an .onnx file, found a folder");
  if (!std::filesystem::is_regular_file(path)) throw FileError(path.string() + ": no such file");
  environment();
  if (options.device != Device::Cpu) {
    try {
      return {create_cuda_session(path, options), Device::Cuda};
    } catch (const DeviceError&) {
      if (options.device == Device::Cuda) throw;
    }
  }
  return {create_session(path, session_options(options)), Device::Cpu};
}

}  // namespace detail

/// Loads ONNX Runtime from this library file; without it the system's is loaded by name when first needed.
///
/// Call it before the first model is loaded. Throws DeviceError when the library is not there or too old.
inline void use_onnxruntime(const std::filesystem::path& library) { detail::ready_onnxruntime(library); }

}  // namespace gen
