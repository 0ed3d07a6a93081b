"""A classifier of images, whose features measure how close two sets of images are (`gen-export eval`).

Spec:
    loss = mean -log softmax(logits(x))_label                                        (nats an image)

Graphs:
    classify:  image (B, C, H, W)               ->  features (B, n), logits (B, K)
    objective: image, label (B)                 ->  loss (), accuracy ()
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gen_export.models.codec import SIZES, encoder_layers, feature_shape
from gen_export.models.draws import Source, draw_rows
from gen_export.models.family import Batch, Family, Graph, ImageShape, Player, Size, require
from gen_export.models.labels import require_classes
from gen_runtime.ports import Port

LARGEST_SHIFT = 2
"""Pixels that a training image is moved by at most, along each axis."""


@dataclass(frozen=True, slots=True)
class ClassifierConfig:
    """Options of the classifier family.

    Raises:
        ConfigError: An option outside its range.
    """

    classes: Annotated[tuple[str, ...], "Names of the classes in the data."]
    size: Annotated[Size, "Width and depth of the network."] = "small"
    features: Annotated[int, "Length of the feature vector."] = 128

    def __post_init__(self) -> None:
        require_classes(self.classes)
        require(bool(self.classes), "classes", "at least 2", self.classes)
        require(self.size in SIZES, "size", f"one of {', '.join(get_args(Size))}", self.size)
        require(2 <= self.features <= 4096, "features", "2 to 4096", self.features)


class Classifier(Family):
    """The family `classifier`."""

    name = "classifier"
    summary = "Classifier: the class of an image, and features to compare sets of images by."
    Config = ClassifierConfig
    main = "classify"

    def __init__(self, config: ClassifierConfig, image: ImageShape) -> None:
        super().__init__(config, image)
        self.layers = nn.Sequential(
            *encoder_layers(image.channels, config.size), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(feature_shape(image, config.size)[0], config.features), nn.SiLU(),
        )  # fmt: skip
        self.head = nn.Linear(config.features, len(config.classes))

    def classify(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, n) and logits (B, K) of images (B, C, H, W)."""
        features = self.layers(image)
        return features, self.head(features)

    def objective(self, image: Tensor, label: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean cross-entropy in nats, and the share of images whose largest logit is that of their label (B,)."""
        logits = self.classify(image)[1]
        return F.cross_entropy(logits, label), (logits.argmax(1) == label).float().mean(), logits

    def players(self) -> tuple[Player, ...]:
        """The whole network."""
        return (Player("classifier", (self,), self.label_losses),)

    def label_losses(self, batch: Batch, rng: Source) -> dict[str, Tensor]:
        """The loss and the accuracy; in training, of images moved and mirrored at random."""
        assert batch.labels is not None
        x = moved(batch.images, rng) if self.training else batch.images
        loss, accuracy, _ = self.objective(x, batch.labels)
        return {"loss": loss, "accuracy": accuracy}

    def graphs(self) -> list[Graph]:
        """The classes, and the objective."""
        image = self.image_port("image", "images")
        count = len(self.config.classes)
        label = Port("label", "int64", ("batch",), "class of each image", 0, count - 1)
        features = Port("features", "float32", ("batch", self.config.features), "what tells the classes apart")
        logits = Port("logits", "float32", ("batch", count), "log odds of the classes, up to a constant")
        terms = (
            Port("loss", "float32", (), "mean cross-entropy, in nats", minimum=0),
            Port("accuracy", "float32", (), "share of images classified right", 0, 1),
        )
        return [
            Graph("classify", "Features and classes of images.", self.classify, (image,), (features, logits)),
            Graph("objective", "The loss and the accuracy.", self.objective, (image, label), terms, (logits,)),
        ]


def moved(images: Tensor, rng: Source) -> Tensor:
    """Each image mirrored half of the time and shifted by up to two pixels, what comes in repeating the border."""
    count, _, height, width = images.shape

    def whole(low: int, high: int) -> Tensor:
        return draw_rows(partial(torch.randint, low, high + 1), (count, 1), rng)

    rows = (torch.arange(height, device=images.device) + whole(-LARGEST_SHIFT, LARGEST_SHIFT)).clamp(0, height - 1)
    columns = (torch.arange(width, device=images.device) + whole(-LARGEST_SHIFT, LARGEST_SHIFT)).clamp(0, width - 1)
    columns = torch.where(whole(0, 1) == 1, columns.flip(1), columns)
    each = torch.arange(count, device=images.device)[:, None, None]
    return images[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
