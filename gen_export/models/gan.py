"""Least-squares generative adversarial network: a generator against a discriminator that tells its images from data.

Mao et al., *Least Squares Generative Adversarial Networks* (2017), arXiv:1611.04076; reference section 5.

Spec (scores D(x), targets 1 for real and 0 for fake):
    discriminator: mean (D(x) - 1)^2 + mean D(G(z))^2 + r1 / 2 mean |dD(x) / dx|^2
    generator:     mean (D(G(z)) - 1)^2
    sample: G(z), z ~ N(0, I)

In each step the discriminator moves first, then the generator. The penalty R1 at real images is that of Mescheder et
al., *Which Training Methods for GANs do actually Converge?* (2018), arXiv:1801.04406, equation 9; it is no part of the
exported objective.

Graphs:
    generate:     z (B, n)                      ->  image (B, C, H, W)
    discriminate: image (B, C, H, W)            ->  score (B)
    objective:    image, z                      ->  generator_loss (), discriminator_loss (), real_term (), fake_term ()
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, get_args

import torch
from torch import Tensor

from gen_export.models.adversaries import discriminator, generator
from gen_export.models.codec import SIZES
from gen_export.models.derivatives import input_gradient
from gen_export.models.draws import Source, draw_rows
from gen_export.models.family import Batch, Family, Graph, ImageShape, Player, Size, require
from gen_export.models.recipes import OneShot
from gen_export.spec import gan
from gen_runtime.ports import Port

BETAS = (0.0, 0.99)


@dataclass(frozen=True, slots=True)
class GANConfig:
    """Options of the GAN family.

    Raises:
        ConfigError: An option outside its range.
    """

    size: Annotated[Size, "Width and depth of the networks."] = "small"
    latent: Annotated[int, "Number of latent variables."] = 64
    r1: Annotated[float, "Weight of the gradient penalty at real images."] = 1.0
    spectral: Annotated[bool, "Normalise the discriminator's weights by their largest singular values."] = False

    def __post_init__(self) -> None:
        require(self.size in SIZES, "size", f"one of {', '.join(get_args(Size))}", self.size)
        require(1 <= self.latent <= 65_536, "latent", "1 to 65536", self.latent)
        require(math.isfinite(self.r1) and self.r1 >= 0, "r1", "a finite number, at least 0", self.r1)
        require(isinstance(self.spectral, bool), "spectral", "true or false", self.spectral)


class GAN(Family):
    """The family `gan`."""

    name = "gan"
    summary = "Least-squares GAN: images from a Gaussian latent by one generator call."
    Config = GANConfig
    defaults: ClassVar[Mapping[str, Any]] = {"lr": 2e-3, "weight_decay": 0.0}

    def __init__(self, config: GANConfig, image: ImageShape) -> None:
        super().__init__(config, image)
        self.generator = generator(image, config.size, config.latent)
        self.discriminator = discriminator(image, config.size, config.spectral)

    def generate(self, z: Tensor) -> Tensor:
        """Images (B, C, H, W) of latents (B, n)."""
        return self.generator(z)

    def discriminate(self, image: Tensor) -> Tensor:
        """Scores (B,) of images, in float32 whatever the network computes in: 1 real, 0 generated."""
        return self.discriminator(image).squeeze(1).float()

    def objective(self, image: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        """Both losses and the discriminator's terms; on the way, the generated images and the scores."""
        generated = self.generate(z)
        real_score, fake_score = self.discriminate(image), self.discriminate(generated)
        losses = gan.generator_loss(fake_score), gan.discriminator_loss(real_score, fake_score)
        return *losses, gan.real_term(real_score), gan.fake_term(fake_score), generated, real_score, fake_score

    def players(self) -> tuple[Player, ...]:
        """The discriminator, then the generator."""
        return (
            Player("discriminator", (self.discriminator,), self.discriminator_losses, betas=BETAS),
            Player("generator", (self.generator,), self.generator_losses, betas=BETAS),
        )

    def discriminator_losses(self, batch: Batch, rng: Source) -> dict[str, Tensor]:
        """The discriminator's loss and its terms; the penalty too where it is asked for and gradients are recorded."""
        with torch.no_grad():
            generated = self.generate(self._latents(batch, rng))
        penalised = self.config.r1 > 0 and torch.is_grad_enabled()
        real = batch.images
        if penalised and not torch.compiler.is_exporting():
            real = real.detach().requires_grad_()
        real_score, fake_score = self.discriminate(real), self.discriminate(generated)
        loss = gan.discriminator_loss(real_score, fake_score)
        terms = {"real_term": gan.real_term(real_score), "fake_term": gan.fake_term(fake_score)}
        if penalised:
            terms["r1"] = gradient_penalty(real_score, real)
            loss = loss + self.config.r1 / 2 * terms["r1"]
        return {"discriminator": loss, **terms}

    def generator_losses(self, batch: Batch, rng: Source) -> dict[str, Tensor]:
        """The generator's loss on as many latents as there are images."""
        return {"generator": gan.generator_loss(self.discriminate(self.generate(self._latents(batch, rng))))}

    def _latents(self, batch: Batch, rng: Source) -> Tensor:
        """Standard normal latents (B, n), one an image."""
        return draw_rows(torch.randn, (batch.images.shape[0], self.config.latent), rng)

    def graphs(self) -> list[Graph]:
        """generate, discriminate and objective."""
        image, z = (
            self.image_port("image", "images"),
            Port("z", "float32", ("batch", self.config.latent), "standard normal latent"),
        )
        score, real_score, fake_score = (
            Port(name, "float32", ("batch",), f"{what}: 1 real, 0 generated")
            for name, what in (
                ("score", "the discriminator's score"),
                ("real_score", "score of the images"),
                ("fake_score", "score of the generated images"),
            )
        )
        terms = (
            Port("generator_loss", "float32", (), "mean squared distance of the generated images' scores to 1"),
            Port("discriminator_loss", "float32", (), "real_term + fake_term"),
            Port("real_term", "float32", (), "mean squared distance of the images' scores to 1"),
            Port("fake_term", "float32", (), "mean square of the generated images' scores"),
        )
        inner = (self.image_port("generated", "generated images"), real_score, fake_score)
        return [
            Graph("generate", "Images of latents.", self.generate, (z,), (image,)),
            Graph("discriminate", "Scores of images.", self.discriminate, (image,), (score,)),
            Graph("objective", "Both losses and their terms.", self.objective, (image, z), terms, inner),
        ]

    def recipe(self) -> OneShot:
        """One generator call."""
        return OneShot((self.config.latent,), ("generate",))


def gradient_penalty(scores: Tensor, images: Tensor) -> Tensor:
    """The penalty R1: mean over images (B, C, H, W) of |d score / d image|^2, with scores (B,) computed from them.

    The result can be differentiated by the discriminator's weights.
    """
    return input_gradient(scores, images).square().sum(dim=(1, 2, 3)).mean()
