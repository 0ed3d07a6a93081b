"""From a trained family to ONNX files: tracing, the sampler around the traced graphs, metadata, parity."""
