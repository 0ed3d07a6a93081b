"""Train small generative models in PyTorch and ship each as ONNX files that run with one call."""

__version__ = "0.1.0"
