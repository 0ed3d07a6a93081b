"""The card: what a file says of itself, one JSON document in its ONNX metadata."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from gen_runtime.errors import FileError
from gen_runtime.ports import Port

KEY = "gen_export"
VERSION = 1
LIMIT = 2**20
"""The longest document read, in characters: a card is a few thousand."""
DEEPEST = 32
"""How many objects and lists may lie in one another: a card has five."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_SECTIONS = (
    *("config", "schedule", "noise", "data", "training", "state"),
    *("trajectory", "certificate", "verified", "tool"),
)
_PLANES, _PIXELS = ("channels", "height", "width"), ("height", "width", "channels")
_LAYOUTS = {"image": _PLANES, "x": _PLANES, "x0": _PLANES, "images": _PIXELS}
"""The axes after the first, of the ports that hold images."""


@dataclass(frozen=True, slots=True)
class ImageShape:
    """The size of the images a file makes or takes, in pixels.

    Raises:
        ValueError: A size is not a whole number of at least 1.
    """

    height: int
    width: int
    channels: int

    def __post_init__(self) -> None:
        sizes = (self.height, self.width, self.channels)
        if not all(type(size) is int and size > 0 for size in sizes):
            raise ValueError(f"image sizes must be whole numbers of at least 1, found {sizes}")


@dataclass(frozen=True, slots=True)
class Card:
    """What one file says of itself.

    Attributes:
        version: The document's version.
        family: The model family: `vae`, `diffusion`.
        graph: The graph in this file: `sample`, `encode`.
        summary: One sentence about it.
        image: The size of the images.
        inputs: What the graph takes, in order.
        outputs: What it gives, in order.
        inner: Values on the way that keep a name in the file.
        parts: Names of the graphs in the files beside this one.
        parity: Measured differences from the model it was exported from, one entry a graph and batch.
        config: The options the model was built with.
        schedule: The noise schedule of a diffusion model.
        noise: How the graph's noise is made: the generator's scheme, and the law of its numbers.
        data: The images it was trained on.
        training: How it was trained.
        state: Of a step of training: the tensors of its vectors, and where the model's files hold them.
        trajectory: Measured differences along a sampler's steps.
        certificate: Proven Lipschitz constants of a denoiser and of its sampler's steps, or why there are none.
        verified: What was checked on the file, and the hashes of the files it was checked on.
        tool: The versions that wrote the file.
        text: The document as it stands in the file.

    Raises:
        ValueError: A port that holds images says another size of them than `image`.
    """

    version: int
    family: str
    graph: str
    summary: str
    image: ImageShape
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    inner: tuple[Port, ...]
    parts: tuple[str, ...]
    parity: tuple[Mapping[str, Any], ...]
    config: Mapping[str, Any] | None
    schedule: Mapping[str, Any] | None
    noise: Mapping[str, Any] | None
    data: Mapping[str, Any] | None
    training: Mapping[str, Any] | None
    state: Mapping[str, Any] | None
    trajectory: Mapping[str, Any] | None
    certificate: Mapping[str, Any] | None
    verified: Mapping[str, Any] | None
    tool: Mapping[str, Any] | None
    text: str = field(repr=False)

    def __post_init__(self) -> None:
        for port in (*self.inputs, *self.outputs):
            sizes = tuple(getattr(self.image, axis) for axis in _LAYOUTS.get(port.name, ()))
            if len(port.shape) == 1 + len(_PLANES) and sizes not in ((), port.shape[1:]):
                raise ValueError(f"port {port.name}: expected images of {list(sizes)}, found {list(port.shape[1:])}")

    @classmethod
    def of_metadata(cls, metadata: Mapping[str, str], source: str) -> "Card":
        """The card in a file's ONNX metadata.

        Raises:
            FileError: There is none, or `parse` refuses it.
        """
        if KEY not in metadata:
            raise FileError(f"{source}: an ONNX file without the metadata key {KEY!r}: gen-export did not write it")
        return cls.parse(metadata[KEY], source)

    @classmethod
    def parse(cls, text: str, source: str) -> "Card":
        """The card that a document describes.

        Args:
            text: The JSON document.
            source: The file it came from, for messages.

        Raises:
            FileError: It is too long or deep, no JSON, of a newer version, a field is missing or malformed, or a
                port says another size of the images.
        """
        document = _document(text, source)
        try:
            return cls(
                version=document["version"],
                family=_name(document["family"]),
                graph=_name(document["graph"]),
                summary=_of(str, document.get("summary", "")),
                image=ImageShape(**document["image"]),
                inputs=tuple(Port.from_json(port) for port in document["inputs"]),
                outputs=tuple(Port.from_json(port) for port in document["outputs"]),
                inner=tuple(Port.from_json(port) for port in _of(list, document.get("inner", []))),
                parts=tuple(_name(part) for part in _of(list, document.get("parts", []))),
                parity=tuple(_of(dict, row) for row in _of(list, document.get("parity", []))),
                **{name: _section(document.get(name)) for name in _SECTIONS},
                text=text,
            )
        except KeyError as error:
            raise FileError(f"{source}: its card lacks the field {error}") from error
        except (TypeError, ValueError) as error:
            raise FileError(f"{source}: its card has a malformed field: {error}") from error


def _document(text: str, source: str) -> dict[str, Any]:
    """The JSON object, once its length, depth and version are known to be ours."""
    if len(text) > LIMIT:
        raise FileError(f"{source}: expected a card of at most {LIMIT} characters, found {len(text)}")
    try:
        document = json.loads(text, parse_float=_finite, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{source}: its card is not JSON: {error}") from error
    if _deeper(document, DEEPEST):
        raise FileError(f"{source}: expected a card at most {DEEPEST} levels deep, found a deeper one")
    version = document.get("version") if isinstance(document, dict) else None
    if type(version) is not int or version < 1:
        raise FileError(f"{source}: its card has no version, expected {VERSION}")
    if version > VERSION:
        raise FileError(f"{source}: its card has version {version}, this package reads up to {VERSION}: upgrade it")
    return document


def _deeper(value: object, levels: int) -> bool:
    """Whether more than so many objects and lists lie in one another."""
    if not isinstance(value, dict | list):
        return False
    items = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(item, levels - 1) for item in items)


def _finite(text: str) -> float:
    """A number with a point or an exponent, which float64 holds."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text:.40} is too large a number")
    return number


def _no_constant(name: str) -> NoReturn:
    """JSON has no NaN and no Infinity, though Python reads them."""
    raise ValueError(f"{name} is no JSON number")


def _name(value: object) -> str:
    """A graph's or family's name; nothing else may become part of a file's name."""
    if not (isinstance(value, str) and _NAME.fullmatch(value)):
        raise ValueError(f"expected a name of a-z, 0-9 and _, found {value!r:.80}")
    return value


def _section(value: object) -> dict[str, Any] | None:
    """A JSON object, or None where the file has nothing to say."""
    return None if value is None else _of(dict, value)


def _of(kind: type, value: Any) -> Any:
    """The value, if it is of the kind."""
    if not isinstance(value, kind):
        raise TypeError(f"expected {kind.__name__}, found {value!r:.80}")
    return value
