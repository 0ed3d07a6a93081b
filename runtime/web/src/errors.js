/**
 * What can go wrong, as one tree. Every message is one line that names the thing, what was expected and what was found.
 *
 *     GenRuntimeError  ONNX Runtime itself failed while it ran a graph, or the model is disposed
 *     ├── FileError    a file is missing, broken, not one of ours, or too new
 *     ├── GraphError   a graph that the file does not declare
 *     ├── PortError    an argument is missing, unknown, or not what its port says
 *     └── DeviceError  the device asked for, or ONNX Runtime itself, is not there
 */

/** The root: catch it to catch everything this package throws on purpose. */
export class GenRuntimeError extends Error {
  static {
    this.prototype.name = "GenRuntimeError";
  }
}

/** A file is missing, broken, not one of ours, or too new. */
export class FileError extends GenRuntimeError {
  static {
    this.prototype.name = "FileError";
  }
}

/** A graph that the file does not declare. */
export class GraphError extends GenRuntimeError {
  static {
    this.prototype.name = "GraphError";
  }
}

/** An argument is missing, unknown, or not what its port says. */
export class PortError extends GenRuntimeError {
  static {
    this.prototype.name = "PortError";
  }
}

/** The device asked for, or ONNX Runtime itself, is not there. */
export class DeviceError extends GenRuntimeError {
  static {
    this.prototype.name = "DeviceError";
  }
}

/** What a reader of bytes or of a card throws; whoever knows the file makes a FileError of it. */
export class MalformedError extends Error {}
