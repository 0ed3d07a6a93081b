"""The facts about exported files, and what runs them: NumPy and ONNX Runtime alone, neither torch nor onnx."""
