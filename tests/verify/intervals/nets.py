"""Random small decoders, and what a graph computes at points, in float64."""

import numpy as np

from gen_export.verify.lipschitz.operators import evaluate, exact, needed_nodes
from tests.verify.lipschitz.nets import RandomNet


class RandomDecoder(RandomNet):
    """A random net without a time: it multiplies by constants, or normalises, where the other multiplies by one."""

    def scaled(self, h):
        return self.rng.choice([self.affine, self.normalised, self.normalised])(h)

    def affine(self, h):
        factor, shift = (self.weight(self.rng.standard_normal((self.size[1], 1, 1))) for _ in range(2))
        if self.rng.random() < 0.5:
            return self.line(f"Mul({factor}, {self.line(f'Add({shift}, {h})')})")
        return self.line(f"Sub({self.line(f'Div({h}, {self.weight(np.array(-0.7))})')}, {shift})")

    def normalised(self, h):
        channels = self.size[1]
        groups = int(self.rng.choice([g for g in (1, 2, 3) if channels % g == 0]))
        rows = self.line(f"Reshape({h}, {self.weight(np.array([0, groups, -1]))})")
        ones, zeros = self.weight(np.ones(groups)), self.weight(np.zeros(groups))
        if self.rng.random() < 0.3:
            ones, zeros = (self.weight(self.rng.standard_normal(groups)) for _ in range(2))
        normal = self.line(f"InstanceNormalization<epsilon={self.rng.choice([1e-5, 0.1])}>({rows}, {ones}, {zeros})")
        back = self.line(f"Reshape({normal}, {self.line(f'Shape({h})')})")
        gain = self.weight(self.rng.standard_normal((channels, 1, 1)))
        return self.line(f"Mul({back}, {gain})")


def values_at(file, x, target="y"):
    """What the graph computes from x, in float64."""
    values = {name: exact(tensor) for name, tensor in file.graph.initializers.items()} | {
        "x": np.asarray(x, np.float64)
    }
    for node in needed_nodes(file.graph, target):
        arrays = [values[name] if name else None for name in node.inputs]
        compute = _normalised if node.op_type == "InstanceNormalization" else evaluate
        values[node.outputs[0]] = compute(node, arrays)
    return values[target]


def _normalised(node, arrays):
    x, weight, bias = arrays
    axes = tuple(range(2, x.ndim))
    apart = x - x.mean(axes, keepdims=True)
    normal = apart / np.sqrt((apart**2).mean(axes, keepdims=True) + node.attributes["epsilon"])
    shape = (1, -1, *(1,) * len(axes))
    return normal * weight.reshape(shape) + bias.reshape(shape)


def points_of(rng, low, high, count=12):
    """Corners of a box, points inside it, and its middle."""
    share = rng.random((count, *low.shape))
    share[::2] = np.round(share[::2])
    share[-1] = 0.5
    return np.clip(low + share * (high - low), low, high)
