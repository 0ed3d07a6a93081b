// What can go wrong. Every message is one line that names the thing, what was expected and what was found.
//
//     Error          ONNX Runtime itself failed while it ran a graph
//     |- FileError   a file is missing, broken, not one of ours, too new, or cannot be written
//     |- GraphError  a graph that the file does not declare
//     |- PortError   an argument is missing, unknown, or not what its port says
//     `- DeviceError the device asked for, or ONNX Runtime itself, is not there
#pragma once

#include <stdexcept>

namespace gen {

/// The root: catch it to catch everything this library throws on purpose.
class Error : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A file is missing, broken, not one of ours, too new, or cannot be written.
class FileError : public Error {
  using Error::Error;
};

/// A graph that the file does not declare.
class GraphError : public Error {
  using Error::Error;
};

/// An argument is missing, unknown, or not what its port says.
class PortError : public Error {
  using Error::Error;
};

/// The device asked for, or ONNX Runtime itself, is not there.
class DeviceError : public Error {
  using Error::Error;
};

}  // namespace gen
