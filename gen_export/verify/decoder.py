"""The certificate of a decoder: how little its image changes while each number of its latent stays near a given one.

All bounds are proven over the real numbers, for the weights in the file. The file itself computes in float32, which may
move a pixel by `NETWORK` more: that is what export allows beside torch, where pixels are at most 1.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gen_export.errors import ConfigError, NoCertificateError
from gen_export.verify.files import Files, random
from gen_export.verify.intervals.box import Box, above, below
from gen_export.verify.intervals.network import Enclosure
from gen_export.verify.lipschitz.network import bound
from gen_export.verify.rounding import NETWORK
from gen_runtime.errors import FileError
from gen_runtime.inputs import Array

DECODERS = {"autoencoder": "decode", "vae": "decode", "gan": "generate"}
"""The graph of a family that makes images of latents."""
LEVEL = 2 / 255
"""One grey level of pixels in [-1, 1]."""
SMALLEST, LARGEST, STEPS = -30, 4, 9
"""Binary logarithms of the radii between which one is sought, and how often their range is halved."""


@dataclass(frozen=True, slots=True)
class DecoderCertificate:
    """What is proven and what is reached, for all latents that are within a radius in each number.

    Attributes:
        graph: The graph that decodes.
        latent: How many numbers a latent has.
        radius: The radius.
        mean_width: The mean width of the pixels' certified intervals, in grey levels.
        max_width: The largest width.
        still: The share of pixels that are certified to move by less than a grey level.
        largest: A radius at which every pixel is; 0 where none was found.
        lipschitz: A certified Lipschitz constant of the decoder, in L2; None where it has none.
        reason: Why it has none.
        points: How many latents were tried.
        reached: The largest change of a pixel among them, in grey levels.
        excess: By how much a pixel of the file was outside its interval, at most; below 0 where none was.
    """

    graph: str
    latent: int
    radius: float
    mean_width: float
    max_width: float
    still: float
    largest: float
    lipschitz: float | None
    reason: str
    points: int
    reached: float
    excess: float

    def violations(self) -> list[str]:
        """What the file does beyond its certificate and float32's rounding, a line each; NaN is beyond everything."""
        inside = self.excess <= NETWORK
        return [] if inside else [f"{self.graph}: a pixel {self.excess:.3g} outside its interval, at most {NETWORK:g}"]

    def to_json(self) -> dict[str, Any]:
        """All of it as `--json` prints it; numbers that JSON has not are text."""
        found = {name: _number(value) for name, value in asdict(self).items()}
        return {**found, "rounding": NETWORK, "violations": self.violations()}


def certify(files: Files, radius: float, seed: int, points: int) -> DecoderCertificate:
    """The certificate of a decoder around a latent of a seed, for images of any class.

    Args:
        files: A main file with its parts.
        radius: By how much each number of the latent may change, at least 0.
        seed: Of the latent.
        points: Latents tried, at least 1.

    Raises:
        FileError: The file is of a family without a decoder of latents, or the decoder is not at hand.
        ConfigError: The radius is no finite number of at least 0.
        NoCertificateError: A node of the decoder stands in the way; the message names it and says why.
    """
    if not 0 <= radius < math.inf:
        raise ConfigError(f"radius: expected a number of at least 0, found {radius}")
    graph = decoder(files)
    file, port = files.probe(graph).file, files.probe(graph).graph.card.inputs[0]
    z, enclosure = latent(files, seed), Enclosure(file, port.name, "image")
    intervals = _around(enclosure, z, radius)
    moved = np.maximum(*_moves(intervals, still := _around(enclosure, z, 0.0)))
    lipschitz, reason = _lipschitz(files, graph, port.name)
    reached, excess = _tried(files, z, radius, points, intervals)
    width = (intervals.high - intervals.low) / LEVEL
    largest = largest_radius(lambda r: bool(np.all(np.maximum(*_moves(_around(enclosure, z, r), still)) < LEVEL)))
    return DecoderCertificate(
        graph, z.size, radius, float(width.mean()), float(width.max()), float((moved < LEVEL).mean()), largest,
        lipschitz, reason, points, reached, excess,
    )  # fmt: skip


def decoder(files: Files) -> str:
    """The graph that makes images of latents.

    Raises:
        FileError: There is none, or it is not at hand.
    """
    name = DECODERS.get(files.card.family)
    if name is None:
        expected = f"diffusion or a family with a decoder of latents, {', '.join(DECODERS)}"
        raise FileError(f"{files.path}: expected {expected}, found {files.card.family}")
    if name not in files.graphs:
        raise FileError(f"{files.path}: expected a main file with the part {name}, found {files.card.graph}")
    return name


def latent(files: Files, seed: int) -> Array:
    """A latent (1, n), float32: a draw of the prior, or the code of noise where there is no prior."""
    if files.card.family == "autoencoder":
        return files.run("encode", files.inputs("encode", 1, f"latent {seed}"))["code"]
    port = files.probe(decoder(files)).graph.card.inputs[0]
    return random(f"latent {seed}").standard_normal((1, int(port.shape[1]))).astype(np.float32)


def largest_radius(certified: Callable[[float], bool]) -> float:
    """A radius that is certified, beside one 5 % larger that is not; 0 where not even 2^-30 is, 2^4 at most."""
    low, high = float(SMALLEST), float(LARGEST)
    if not certified(2.0**low):
        return 0.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if certified(2.0**middle) else (low, middle)
    return 2.0**low


def _around(enclosure: Enclosure, z: Array, radius: float) -> Box:
    """The pixels' intervals for all latents within a radius of one."""
    wide = z.astype(np.float64)
    return enclosure.box(below(wide - radius), above(wide + radius)) if radius else enclosure.box(wide, wide)


def _moves(intervals: Box, still: Box) -> tuple[Array, Array]:
    """How far up and down pixels may go from where they are."""
    return above(intervals.high - still.low), above(still.high - intervals.low)


def _lipschitz(files: Files, graph: str, source: str) -> tuple[float | None, str]:
    """A Lipschitz constant of the decoder, or why there is none."""
    try:
        return bound(files.probe(graph).file, source, "image", {}).value, ""
    except NoCertificateError as error:
        return None, str(error)


def _tried(files: Files, z: Array, radius: float, points: int, intervals: Box) -> tuple[float, float]:
    """The largest change of a pixel at corners of the box and inside it, in grey levels, and the largest excess."""
    graph = decoder(files)
    port = files.probe(graph).graph.card.inputs[0]
    rng = random("points of a box")
    ways = rng.uniform(-1, 1, (points, z.size))
    ways[::2] = np.sign(ways[::2])
    tried = (z + radius * ways).astype(np.float32)
    tried = np.where(np.abs(tried.astype(np.float64) - z) <= radius, tried, z)
    (start,), images = (files.run(graph, {port.name: each})["image"].astype(np.float64) for each in (z, tried))
    excess = np.maximum(intervals.low - images, images - intervals.high).max()
    return float(np.abs(images - start).max() / LEVEL), float(excess)


def _number(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
