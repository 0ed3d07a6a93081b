"""Proven bounds of every entry that an ONNX file computes while its input stays in a box, over the real numbers."""
