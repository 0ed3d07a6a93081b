"""What files are measured against: real images, their features, and held-out images as the floor of every distance."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gen_export.data.image_set import ImageSet
from gen_export.evaluation import distances
from gen_export.evaluation.distances import Estimate
from gen_export.evaluation.features import Extract, all_features, default_features, open_features
from gen_runtime.inputs import Array
from gen_runtime.model import Progress

BATCH = 256
"""Images read or drawn at a time."""
TRAINING_IMAGES = 60_000
"""More of them would change a distance less than the images it is of."""

Bar = Callable[[str], Progress | None]
"""Gives the function to tell how far the work of this name has come."""


class Distances(NamedTuple):
    """How far a set of images is from the training images."""

    frechet: float
    kernel: Estimate
    precision: float
    recall: float


@dataclass(frozen=True)
class Reference:
    """What files are measured against.

    Attributes:
        train: Images they may have learnt from.
        test: Others of their kind, held out.
        features: The file that finds features; None for the one that comes with the set.
        count: How many images are drawn or rebuilt.
        seed: Of everything random in a measurement.
        bar: Shows progress.
    """

    train: ImageSet
    test: ImageSet
    features: Path | None
    count: int
    seed: int
    bar: Bar

    def some(self, images: ImageSet, count: int) -> Array:
        """So many of a set, in an order drawn by the seed: uint8 (n, H, W, C)."""
        return np.concatenate(list(self.batches(images, count)))

    def batches(self, images: ImageSet, count: int) -> Iterator[Array]:
        """The same in batches, so that a large set never is in memory."""
        order = self.rng(len(images)).permutation(len(images))[:count]
        for at in range(0, len(order), BATCH):
            yield images.images(order[at : at + BATCH])

    def rng(self, purpose: int) -> np.random.Generator:
        """The generator of a purpose."""
        return np.random.default_rng([self.seed % 2**64, purpose])

    @property
    def features_file(self) -> Path:
        """The file that finds features.

        Raises:
            ConfigError: None was given, and none comes with the set.
        """
        return self.features or default_features(self.train.name)

    @cached_property
    def extract(self) -> Extract:
        """Finds features."""
        return open_features(self.features_file)

    @cached_property
    def real(self) -> Array:
        """Features of the training images, of the first 60,000 where there are more."""
        return self._features(self.train, TRAINING_IMAGES, "features of the training images")

    @cached_property
    def kept(self) -> Array:
        """Features of held-out images, as many as are drawn where there are so many."""
        return self._features(self.test, self.count, "features of held-out images")

    @cached_property
    def floor(self) -> Distances:
        """Held-out images against the training images."""
        return self.compare(self.kept)

    def compare(self, made: Array) -> Distances:
        """Features against those of the training images."""
        like = self.real[: len(made)]  # supports of as many points
        return Distances(
            distances.frechet_distance(distances.moments(made), self._moments),
            distances.kernel_distance(made, self.real),
            *distances.precision_and_recall(like, made),
        )

    def _features(self, images: ImageSet, count: int, label: str) -> Array:
        return all_features(self.extract, self.batches(images, count), min(count, len(images)), self.bar(label))

    @cached_property
    def _moments(self) -> distances.Moments:
        return distances.moments(self.real)
