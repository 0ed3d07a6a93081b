"""How good a file is: every score that its graphs allow, against images it has and has not seen."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import gen_export
from gen_export.errors import ConfigError
from gen_export.evaluation import fidelity, likelihood
from gen_export.evaluation.distances import Estimate
from gen_export.evaluation.features import all_features
from gen_export.evaluation.reference import BATCH, Reference
from gen_export.spec.masks import seeded_hidden
from gen_export.spec.pixels import pictures, planes
from gen_runtime import Graph, Model
from gen_runtime.inputs import Array

LIKELIHOOD_IMAGES = 512
"""Held-out images whose likelihood is bounded: every one takes a thousand times as long as to be rebuilt."""
LEVEL_IMAGES = 64
"""Training images that decide the variances of likelihoods."""
HIDDEN_SHARE = 0.75


class Measure(NamedTuple):
    """A measure of rebuilt images: its name, its unit, and the smallest side of an image that has it."""

    name: str
    unit: str
    function: Callable[[Array, Array], Array]
    smallest: int = 1


FIDELITY = (
    Measure("reconstruction error", "of pixels in 0..1", fidelity.mean_squared_error),
    Measure("peak signal to noise", "dB", fidelity.peak_signal_to_noise),
    Measure("structural similarity", "", fidelity.structural_similarity, fidelity.WINDOW),
)


@dataclass(frozen=True, slots=True)
class Score:
    """One number about a file.

    Attributes:
        name: What is measured.
        value: The number.
        unit: Its unit; empty for a pure number.
        error: Standard error; None where it is not known.
        floor: The same of held-out images in place of the file's; None where there is no such thing.
    """

    name: str
    value: float
    unit: str = ""
    error: float | None = None
    floor: float | None = None

    @classmethod
    def of(cls, name: str, estimate: Estimate, unit: str = "", floor: float | None = None) -> "Score":
        """The score that an estimate is."""
        return cls(name, estimate.value, unit, estimate.error, floor)


def evaluate(model: Model, reference: Reference, **inputs: Any) -> list[Score]:
    """The scores of a file.

    Args:
        model: The file.
        reference: What to measure against; images of the file's size.
        inputs: Those of the sampler: `steps`, `solver`.

    Raises:
        ConfigError: The images have another size than the file's, or there is no file of features for the set.
        GenRuntimeError: A call of the file fails.
    """
    shape = model.card.image
    if reference.test.image_shape != (shape.height, shape.width, shape.channels):
        expected, found = [shape.height, shape.width, shape.channels], list(reference.test.image_shape)
        raise ConfigError(f"--data: expected images of {expected}, as {model.path.name} has, found {found}")
    graphs, scores = set(model.graphs), []
    if "sample" in graphs:
        scores += compared(model, reference, inputs)
    if "reconstruct" in graphs:
        scores += rebuilt(model, reference)
    if "classify" in graphs:
        scores += classified(model, reference)
    return [*scores, *likelihoods(model, reference, graphs)]


def section(scores: Sequence[Score], reference: Reference, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The scores of a file as its card holds them, beside what they were measured with."""
    compares = any(score.floor is not None for score in scores)
    return {
        "data": reference.test.name,
        "features": reference.features_file.name if compares else None,
        "images": reference.count,
        "seed": reference.seed,
        "inputs": dict(inputs),
        "floor": {score.name: score.floor for score in scores if score.floor is not None},
        "scores": {score.name: {"value": score.value, "error": score.error, "unit": score.unit} for score in scores},
        "tool": gen_export.__version__,
    }


def compared(model: Model, reference: Reference, inputs: Mapping[str, Any]) -> Iterator[Score]:
    """How far the file's images are from the training images, and held-out ones beside them."""
    floor = reference.floor
    made = model.stream(reference.count, reference.seed, **inputs)
    found = reference.compare(
        all_features(reference.extract, made, reference.count, reference.bar(f"images of {model.path.name}"))
    )
    yield Score("frechet distance", found.frechet, floor=floor.frechet)
    yield Score.of("kernel distance", found.kernel, floor=floor.kernel.value)
    yield Score("precision", found.precision, floor=floor.precision)
    yield Score("recall", found.recall, floor=floor.recall)


def rebuilt(model: Model, reference: Reference) -> Iterator[Score]:
    """How close the reconstructions of held-out images are; of a masked autoencoder, three quarters were hidden."""
    side = min(model.card.image.height, model.card.image.width)
    measures = [measure for measure in FIDELITY if side >= measure.smallest]
    found = [
        [measure.function(*pair) for measure in measures] for pair in _pairs(model.graph("reconstruct"), reference)
    ]
    for values, measure in zip(zip(*found, strict=True), measures, strict=True):
        yield Score.of(measure.name, likelihood.mean_estimate(np.concatenate(values)), measure.unit)


def _pairs(graph: Graph, reference: Reference) -> Iterator[tuple[Array, Array]]:
    """Held-out images and their reconstructions, uint8 (k, H, W, C) each, batch by batch."""
    grid = [port.shape[1:] for port in graph.card.inputs if port.name == "mask"]
    first = 0
    for images in reference.batches(reference.test, reference.count):
        inputs = {"image": planes(images)}
        for rows, columns in grid:
            numbers = np.arange(first, first + len(images))
            inputs["mask"] = seeded_hidden(reference.seed, numbers, int(rows), int(columns), HIDDEN_SHARE)
        yield images, pictures(graph.execute(graph.check(inputs))["reconstruction"])
        first += len(images)


def likelihoods(model: Model, reference: Reference, graphs: set[str]) -> Iterator[Score]:
    """How likely the file finds held-out images, where it has the graphs to tell."""
    kept = reference.some(reference.test, LIKELIHOOD_IMAGES)
    train = reference.some(reference.train, LEVEL_IMAGES)
    if "bound" in graphs:
        bounds = likelihood.latent_bounds(model, train, kept, reference.rng(1))
        for name, nats in (("evidence lower bound", bounds.elbo), ("importance-weighted bound", bounds.weighted)):
            bits = likelihood.bits_of_density(nats, kept.shape[1:])
            yield Score.of(name, nats, "nats an image")
            yield Score.of(f"{name}, in bits", bits, "bits a value, at most")
    if {"encode", "nll"} <= graphs:
        used, nats = likelihood.code_use(model, kept)
        yield Score("codes in use", used, "codes, the perplexity")
        yield Score.of("prior's surprise", nats, "nats a code")
    if "denoise" in graphs:
        bits = likelihood.diffusion_bits(model, train, kept, reference.rng(2))
        yield Score.of("variational bound", bits, "bits a value, at most")


def classified(model: Model, reference: Reference) -> Iterator[Score]:
    """How often a classifier names held-out images as their labels do."""
    if reference.test.labels is None:
        raise ConfigError(f"--data: expected labelled images for the classifier {model.path.name}, found none")
    graph, right = model.graph("classify"), []
    for at in range(0, len(reference.test), BATCH):
        indices = np.arange(at, min(at + BATCH, len(reference.test)))
        image = planes(reference.test.images(indices))
        right.append(graph.execute({"image": image})["logits"].argmax(1) == reference.test.labels[indices])
    yield Score.of("accuracy", likelihood.mean_estimate(np.concatenate(right).astype(np.float64)))
