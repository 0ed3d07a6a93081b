"""What images are compared by: the features that a network finds in them, from any ONNX file, without torch.

The file is a classifier of ours, or any graph from RGB images in [0, 1], float32 (n, 3, H, W), to vectors (n, d): the
network of another tool, its resizing included.
"""

from collections.abc import Callable, Iterable
from importlib import resources
from pathlib import Path

import numpy as np

from gen_export.errors import ConfigError
from gen_export.spec.pixels import planes
from gen_export.verify.onnx_file import OnnxFile
from gen_runtime import FileError, GenRuntimeError, Graph, load
from gen_runtime.card import KEY
from gen_runtime.inputs import Array
from gen_runtime.model import Progress
from gen_runtime.session import Session, first_line, open_session

OURS = "classifier"

Extract = Callable[[Array], Array]
"""From uint8 (n, H, W, C) to float32 (n, d)."""


def default_features(data_name: str) -> Path:
    """The classifier that comes with this package for a set of images.

    Raises:
        ConfigError: There is none for the set.
    """
    folder = resources.files("gen_export.evaluation") / "networks"
    known = sorted(Path(str(entry)) for entry in folder.iterdir() if entry.name.endswith(".onnx"))
    wanted = data_name.replace("-", "_")
    for path in known:
        if path.stem == wanted:
            return path
    names = ", ".join(path.stem for path in known)
    raise ConfigError(
        f"--features: expected a file for {data_name}, for those here are of {names}; train one:"
        " gen-export train classifier --data .."
    )


def open_features(path: Path) -> Extract:
    """The function that finds features, from a file of either kind.

    Raises:
        FileError: The file is broken, or takes or gives something else.
    """
    if KEY not in OnnxFile.read(path).metadata:
        return _of_network(path, open_session(path, "auto", None)[0])
    model = load(path)
    if model.card.family != OURS:
        expected = "a classifier or another network that gives features"
        raise FileError(f"{path}: expected {expected}, found a generative model")
    return _of_classifier(model.graph("classify"))


def all_features(extract: Extract, batches: Iterable[Array], total: int, progress: Progress | None = None) -> Array:
    """The features of images that come in batches, uint8 (k, H, W, C) each, `total` in all: float32 (n, d)."""
    found: list[Array] = []
    for images in batches:
        found.append(extract(images))
        if progress is not None:
            progress(sum(map(len, found)), total)
    return np.concatenate(found)


def _of_classifier(graph: Graph) -> Extract:
    """The features of a classifier of ours."""
    height, width, channels = (getattr(graph.card.image, axis) for axis in ("height", "width", "channels"))

    def extract(images: Array) -> Array:
        if images.shape[1:] != (height, width, channels):
            expected, found = [height, width, channels], list(images.shape[1:])
            raise FileError(f"{graph.path}: expected images of {expected}, found {found}")
        return graph.execute({"image": planes(images)})["features"]

    return extract


def _of_network(path: Path, session: Session) -> Extract:
    """The features of another tool's network; grey images get three equal channels."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
        found = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
        raise FileError(f"{path}: expected one input, RGB images as float (n, 3, H, W), found {found}")
    name = outputs[0].name

    def extract(images: Array) -> Array:
        planes = np.broadcast_to(images, (*images.shape[:3], 3)).transpose(0, 3, 1, 2)
        try:
            (found,) = session.run([name], {inputs[0].name: planes.astype(np.float32) / np.float32(255)})
        except Exception as error:  # ONNX Runtime's exceptions share no class of their own
            raise GenRuntimeError(f"{path}: ONNX Runtime failed: {first_line(error)}") from error
        if found.ndim < 2 or found[0].size != found.shape[1]:
            raise FileError(f"{path}: {name}: expected vectors (n, d), found {list(found.shape)}")
        return found.reshape(len(found), -1)

    return extract
