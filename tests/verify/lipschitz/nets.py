"""Small ONNX files in the text form of the package onnx, and random ones."""

from pathlib import Path

import numpy as np
from onnx import numpy_helper, parser

from gen_export.verify.onnx_file import OnnxFile

HEADER = '<ir_version: 10, opset_import: ["": 18, "com.example": 1]>'


def net(body, x=(1, 2, 4, 4), **weights):
    """The file of a graph that computes y from x and the time t; weights of real numbers are float32."""
    shape = ",".join(map(str, x))
    model = parser.parse_model(f"{HEADER} net (float[{shape}] x, int64 t) => (float[1] y) {{ {body} }}")
    model.graph.output[0].type.tensor_type.ClearField("shape")
    for name, weight in weights.items():
        array = np.asarray(weight)
        tensor = array.astype(np.float32) if array.dtype.kind == "f" else array
        model.graph.initializer.append(numpy_helper.from_array(tensor, name))
    return OnnxFile(model.SerializeToString(), Path("net.onnx"))


def point(rng, shape, scale=1.0, t=0):
    """Inputs of a net."""
    return {"x": (scale * rng.standard_normal(shape)).astype(np.float32), "t": np.array(t)}


class RandomNet:
    """A random net of a few layers on a small image; `file` is its file and `shape` that of x."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.lines, self.weights = [], {}
        self.shape = self.size = (1, *self.rng.integers(1, 4, 1).tolist(), *self.rng.integers(3, 6, 2).tolist())
        h = "x"
        for _ in range(self.rng.integers(1, 4)):
            h = self.rng.choice([self.conv, self.activation, self.residual, self.joined, self.scaled, self.arranged])(h)
        self.lines.append(f"y = Identity({h})")
        self.file = net("\n".join(self.lines), self.shape, **self.weights)

    def line(self, text):
        """A further value, computed so."""
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        return name

    def weight(self, values):
        """A further weight."""
        name = f"w{len(self.weights)}"
        self.weights[name] = values
        return name

    def conv(self, h, same=False):
        _, inputs, height, width = self.size
        kh, kw = (3, 3) if same else self.rng.integers(1, 4, 2).tolist()
        pads = [1] * 4 if same else self.rng.integers(0, 3, 4).tolist()
        strides = [1, 1] if same else self.rng.integers(1, 3, 2).tolist()
        outputs = inputs if same else int(self.rng.integers(1, 4))
        kernel = self.weight(self.rng.standard_normal((outputs, inputs, kh, kw)) * self.rng.choice([0.1, 1.0]))
        bias = self.weight(self.rng.standard_normal(outputs))
        high = (height + pads[0] + pads[2] - kh) // strides[0] + 1
        wide = (width + pads[1] + pads[3] - kw) // strides[1] + 1
        if min(high, wide) < 1 or max(high, wide) > 9:
            return h
        self.size = (1, outputs, high, wide)
        return self.line(f"Conv<pads={pads}, strides={strides}>({h}, {kernel}, {bias})")

    def activation(self, h):
        name = self.rng.choice(["Relu", "LeakyRelu<alpha=1.5>", "Tanh", "Sigmoid", "Softplus", "Neg", "SiLU"])
        if name == "SiLU":
            return self.line(f"Mul({h}, {self.line(f'Sigmoid({h})')})")
        return self.line(f"{name}({h})")

    def residual(self, h):
        inner = self.conv(self.activation(self.conv(h, same=True)), same=True)
        return self.line(f"{self.rng.choice(['Add', 'Sub'])}({h}, {inner})")

    def joined(self, h):
        batch, channels, height, width = self.size
        plane = self.weight(self.rng.standard_normal((1, 1, height, width)))
        self.size = (batch, 2 * channels + 1, height, width)
        joined = self.line(f"Concat<axis=1>({h}, {plane}, {self.activation(h)})")
        return self.conv(joined)

    def scaled(self, h):
        table, one = self.weight(self.rng.standard_normal(5)), self.weight(np.array(1.0))
        gain = self.line(f"Gather({table}, t)")
        return self.line(f"Div({self.line(f'Mul({h}, {gain})')}, {self.line(f'Add({one}, {one})')})")

    def arranged(self, h):
        batch, channels, height, width = self.size
        if self.rng.random() < 0.5 or max(height, width) > 4:
            self.size = (batch, channels, width, height)
            return self.line(f"Transpose<perm=[0,1,3,2]>({h})")
        self.size = (batch, channels, 2 * height, 3 * width)
        scales = self.weight(np.array([1.0, 1.0, 2.0, 3.0]))
        how = 'coordinate_transformation_mode="asymmetric", nearest_mode="floor"'
        return self.line(
            f'Resize<mode="nearest", {how if self.rng.random() < 0.5 else "antialias=0"}>({h}, , {scales})'
        )
