"""The mathematics, each equation once, as pure functions on arrays.

The same lines run on NumPy arrays (the float64 reference), on PyTorch tensors (the training loss and
the exported objective) and on `gen_export.export.graph_arrays` (the sampler that ships). They use the
Array API and arithmetic operators only; noise, indices and masks are always arguments. Only `noise` needs
64-bit unsigned integers, which torch does not add: it runs on NumPy and on graphs.
"""
