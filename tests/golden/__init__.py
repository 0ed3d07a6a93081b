"""The conformance suite that every host runs: small files, calls of them, and what the calls give.

`python -m tests.golden.make` writes it all to models_onnx/golden.
"""
