"""The classes of a model's files as facts use them."""

import numpy as np

from gen_export.spec.guidance import ANY
from gen_export.verify.files import Files


def class_count(files: Files, graph: str) -> int:
    """K, the number of classes that a graph can be told; 0 where it can be told none."""
    choices = next((port.choices for port in files.probe(graph).graph.card.inputs if port.name == "label"), ())
    return choices.index(ANY) if ANY in choices else 0


def told(files: Files, graph: str, label: int | None = None) -> dict[str, np.ndarray]:
    """The input that tells a graph the class, by default any; nothing where it can be told none."""
    count = class_count(files, graph)
    return {"label": np.array(count if label is None else label)} if count else {}
