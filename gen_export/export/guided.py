"""A network that knows classes within a sampler: guided by one call for the images' classes and for any at once."""

from typing import Any

import numpy as np
import onnx_ir as ir

from gen_export.export.graph_arrays import NAMESPACE as xp  # noqa: N811 - the Array API's name for a namespace
from gen_export.export.graph_arrays import GraphArray, constant, emit
from gen_export.export.subgraphs import either, inline
from gen_export.spec.guidance import guide


class Guided:
    """A network called for given classes.

    Where the scale is not 1, every row goes in twice, first with its class and then with none: a batch of twice as
    many rows, so that the graph holds the network once.

    Args:
        network: As an ONNX model; its last input is the label, if it knows classes.
        labels: The classes, int64 (count,); None for a network that knows none.
        scale: Of the guidance, (); None where there is none.
        classes: K, the number of classes.
    """

    def __init__(self, network: ir.Model, labels: GraphArray | None, scale: GraphArray | None, classes: int) -> None:
        self.network, self.scale = network, scale
        self.label = [] if labels is None else [labels]
        if labels is not None and scale is not None:
            self.plain = xp.equal(scale, 1.0)
            self.count = emit("Shape", labels, dtype=np.int64, start=0, end=1)
            self.rows = xp.where(self.plain, self.count, 2 * self.count)
            self.label = [_between(xp.concat([labels, 0 * labels + classes]), 0, self.rows)]

    def twice(self, x: GraphArray) -> GraphArray:
        """Rows (count, ..) as the network takes them: once, or twice where it is guided."""
        return x if self.scale is None else _between(xp.concat([x, x]), 0, self.rows)

    def call(self, *inputs: GraphArray) -> list[GraphArray]:
        """The network's outputs, whose rows are those of `twice`.

        It was traced for one label of all rows, and here they have one each.
        """
        return inline(self.network, *inputs, *self.label, shaped=not self.label)

    def guide(self, output: GraphArray) -> GraphArray:
        """An output's rows (count, ..), guided."""
        scale = self.scale
        if scale is None:
            return output

        def guided() -> list[GraphArray]:
            return [guide(_between(output, 0, self.count), _between(output, self.count, self.rows), scale)]

        return either(self.plain, lambda: [output], guided)[0]


def _between(x: GraphArray, start: Any, stop: GraphArray) -> GraphArray:
    """The rows from `start` to before `stop`, each (1,)."""
    first = start if isinstance(start, GraphArray) else constant([start], np.int64)
    return emit("Slice", x, first, stop, constant([0], np.int64))
