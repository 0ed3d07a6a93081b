# The target gen_runtime::onnxruntime: ONNX Runtime's headers from ONNXRUNTIME_ROOT or the package onnxruntime, and its
# library where GEN_RUNTIME_LINK is on.
if(TARGET gen_runtime::onnxruntime)
  return()
endif()

set(gen_runtime_suffixes include include/onnxruntime include/onnxruntime/core/session)
find_path(GEN_RUNTIME_ONNXRUNTIME_INCLUDE onnxruntime_cxx_api.h
  HINTS ${ONNXRUNTIME_ROOT} $ENV{ONNXRUNTIME_ROOT} PATH_SUFFIXES ${gen_runtime_suffixes} onnxruntime onnxruntime/core/session)
if(GEN_RUNTIME_LINK)
  find_library(GEN_RUNTIME_ONNXRUNTIME_LIBRARY onnxruntime HINTS ${ONNXRUNTIME_ROOT} $ENV{ONNXRUNTIME_ROOT} PATH_SUFFIXES lib lib64)
endif()

add_library(gen_runtime::onnxruntime INTERFACE IMPORTED GLOBAL)
if(GEN_RUNTIME_ONNXRUNTIME_INCLUDE AND (GEN_RUNTIME_ONNXRUNTIME_LIBRARY OR NOT GEN_RUNTIME_LINK))
  target_include_directories(gen_runtime::onnxruntime SYSTEM INTERFACE ${GEN_RUNTIME_ONNXRUNTIME_INCLUDE})
else()
  find_package(onnxruntime CONFIG QUIET)
  if(NOT onnxruntime_FOUND)
    message(FATAL_ERROR "gen_runtime: expected ONNX Runtime's headers: set ONNXRUNTIME_ROOT to its release archive, or install its package")
  endif()
  target_include_directories(gen_runtime::onnxruntime SYSTEM INTERFACE
    $<TARGET_PROPERTY:onnxruntime::onnxruntime,INTERFACE_INCLUDE_DIRECTORIES>)
  set(GEN_RUNTIME_ONNXRUNTIME_LIBRARY onnxruntime::onnxruntime)
endif()
if(GEN_RUNTIME_LINK)
  target_compile_definitions(gen_runtime::onnxruntime INTERFACE GEN_RUNTIME_LINKED)
  target_link_libraries(gen_runtime::onnxruntime INTERFACE ${GEN_RUNTIME_ONNXRUNTIME_LIBRARY})
else()
  target_compile_definitions(gen_runtime::onnxruntime INTERFACE ORT_API_MANUAL_INIT)
  target_link_libraries(gen_runtime::onnxruntime INTERFACE ${CMAKE_DL_LIBS})
endif()
