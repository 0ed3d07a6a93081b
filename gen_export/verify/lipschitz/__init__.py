"""Proven Lipschitz constants of what an ONNX file computes, over the real numbers, and slopes that it reaches."""
