"""What the exported files draw for the page: fresh images, the ways between them, and how a codebook is used."""

import math

import numpy as np

from gen_export.models.recipes import Recipe
from gen_export.report.blocks import Charts, Pictures
from gen_export.report.charts import Line, chart
from gen_export.report.pictures import of_image
from gen_export.spec.guidance import ANY
from gen_export.spec.noise import sample_normals
from gen_export.spec.pixels import pictures, planes
from gen_export.spec.vqvae import perplexity
from gen_export.verify.files import MOST_CODES
from gen_runtime import Card, FileError, Model, grid
from gen_runtime.images import Image
from gen_runtime.inputs import Array
from gen_runtime.ports import Port

SEED = 1
SAMPLES = 36
PATHS, STATIONS = 4, 9
"""Ways between two images that are shown, and images on each."""
LONGEST_SIDE = 512


def fresh_samples(model: Model) -> Pictures:
    """A grid of images that the file draws.

    Raises:
        GenRuntimeError: The file cannot draw them.
    """
    _require_small(model)
    command = f"gen-export sample {model.path.name} --seed {SEED} --count {SAMPLES}"
    return Pictures("Drawn by the file", [of_image(grid(model.sample(SAMPLES, SEED)), command)])


def between_samples(model: Model) -> Pictures:
    """Rows of images from one sample to another, along cos(a) z + sin(a) w for two noises z and w.

    z and w are independent and standard normal, so every point on the way is standard normal as well: as likely a
    noise as its ends.

    Raises:
        GenRuntimeError: The file has no such noise, or does not run.
    """
    _require_small(model)
    port = _noise_port(model)
    ends = sample_normals(SEED, np.arange(2 * PATHS), 0, tuple(map(int, port.shape[1:])))
    z, w = (ends[first::2, None] for first in (0, 1))
    a = np.linspace(0.0, math.pi / 2, STATIONS).reshape(-1, *[1] * (z.ndim - 2))
    noise = (np.cos(a) * z + np.sin(a) * w).astype(np.float32).reshape(-1, *z.shape[2:])
    graph = model.graph("sample_from_noise")
    label = {each.name: ANY for each in graph.card.inputs if ANY in each.choices}  # else it changes on the way
    images = graph.execute(graph.check({port.name: noise, **label}))["images"]
    samples = f"of seed {SEED}{f' and {ANY} class' if label else ''}"
    caption = f"from image 2k to image 2k + 1 {samples}, by noise of equal likelihood"
    return Pictures("Between two samples", [of_image(grid(images, columns=STATIONS), caption)])


def between_codes(model: Model, images: Image) -> Pictures:
    """Rows of images from one held-out image to another, decoded along the straight line between their codes.

    Args:
        model: A file with graphs `encode` and `decode` of a code of numbers.
        images: Held-out ones, uint8 (n, H, W, C).

    Raises:
        GenRuntimeError: The file does not run.
    """
    _require_small(model)
    encode, decode = model.graph("encode"), model.graph("decode")
    codes = encode.execute({"image": planes(images[: 2 * PATHS])})["code"]
    z, w = (codes[first::2, None] for first in (0, 1))
    t = np.linspace(0.0, 1.0, STATIONS, dtype=np.float32)[:, None]
    found = decode.execute({"code": ((1.0 - t) * z + t * w).reshape(-1, codes.shape[1])})
    decoded = pictures(found[decode.card.outputs[0].name])
    caption = "from one held-out image to another, along the straight line between their codes"
    return Pictures("Between two codes", [of_image(grid(decoded, columns=STATIONS), caption)])


def code_use(model: Model, images: Image) -> Charts:
    """How often each code of a VQ-VAE is used over held-out images, the most used first.

    Args:
        model: Its file.
        images: Held-out ones, uint8 (n, H, W, C).

    Raises:
        GenRuntimeError: The file does not run, or says that it has more codes than a model can have.
    """
    counts = _counts(model, images)
    shares = np.sort(counts)[::-1] / counts.sum()
    steps = [(float(rank + side), float(share)) for rank, share in enumerate(shares) for side in (0, 1)]
    even = [(0.0, 1 / len(counts)), (float(len(counts)), 1 / len(counts))]
    lines = [Line("share of uses", steps, "area"), Line("all codes alike", even, "thin")]
    drawn = chart("share of uses", lines, x_name="code", from_zero=True)
    used, alike = np.count_nonzero(counts), float(perplexity(counts.astype(np.float64)))
    found = f"{used} of {len(counts)} codes occur in {len(images)} held-out images, with a perplexity of {alike:.1f}."
    note = f"{found} The thin line is a codebook whose codes are all used alike."
    return Charts("Use of the codebook", [drawn] if drawn else [], note)


def _counts(model: Model, images: Image) -> Array:
    """Uses of each code, int64 (K,)."""
    encode = model.graph("encode")
    (most,) = [port.maximum for port in model.graph("decode").card.inputs if port.name == "indices"] or [None]
    if most is None or not 0 <= most < MOST_CODES:
        raise FileError(f"{model.path.name}: indices: expected at most {MOST_CODES} codes, found {most}")
    batches = (planes(images[at : at + 64]) for at in range(0, len(images), 64))
    indices = np.concatenate([encode.execute({"image": image})["indices"] for image in batches])
    if indices.min() < 0 or indices.max() > most:
        raise FileError(
            f"{encode.path.name}: indices: expected 0 to {most:g}, found {indices.min()} to {indices.max()}"
        )
    return np.bincount(indices.ravel(), minlength=int(most) + 1)


def has_normal_noise(card: Card) -> bool:
    """Whether the images come from standard normal noise, which goes over into other such noise without a step."""
    return (card.noise or {}).get("law") == Recipe.law_name


def _noise_port(model: Model) -> Port:
    """The one input that `sample_from_noise` needs.

    Raises:
        FileError: It needs others, or more noise than a page's images have.
    """
    card = model.graph("sample_from_noise").card
    needed = [port for port in card.inputs if port.default is None and not port.optional]
    names = [port.name for port in needed]
    if names != ["noise"]:
        raise FileError(f"{card.graph}: expected that it needs noise alone, found {', '.join(names)}")
    if math.prod(map(int, needed[0].shape[1:])) > 3 * LONGEST_SIDE**2:
        raise FileError(f"{card.graph}: expected noise of an image's size at most, found {list(needed[0].shape)}")
    return needed[0]


def _require_small(model: Model) -> None:
    """Refuses images too large for a page."""
    size = model.card.image
    if max(size.height, size.width) > LONGEST_SIDE:
        raise FileError(f"expected images of at most {LONGEST_SIDE} pixels a side, found {size.width}x{size.height}")
