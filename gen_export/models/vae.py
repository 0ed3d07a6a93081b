"""(beta-)variational autoencoder: diagonal Gaussian posterior, Gaussian likelihood of fixed variance.

Kingma & Welling, *Auto-Encoding Variational Bayes* (2014), arXiv:1312.6114; Higgins et al., *beta-VAE*
(ICLR 2017); reference section 3.

Spec:
    z    = mu(x) + exp(logvar(x) / 2) eps,  eps ~ N(0, I)
    loss = mean |decode(z) - x|^2 + beta mean KL(N(mu, exp logvar) || N(0, 1))       (means, not sums)
    sample: decode(z), z ~ N(0, I)

With n latents and D pixels, beta = 2 s^2 n / D makes the loss 2 s^2 / D times the negative ELBO of a likelihood of
variance s^2.

Graphs:
    encode:      image (B, C, H, W)             ->  mu (B, n), logvar (B, n)
    decode:      z (B, n)                       ->  image (B, C, H, W)
    reconstruct: image                          ->  reconstruction (B, C, H, W): decode(mu)
    objective:   image, eps (B, n), beta ()     ->  loss (), reconstruction (), kl ()
"""

import math
from dataclasses import dataclass
from typing import Annotated, get_args

import torch
from torch import Generator, Tensor, nn

from gen_export.models.family import Family, Graph, ImageShape, Size, require
from gen_export.models.layers import ResidualBlock, Unpatchify, downsample, patchify, upsample
from gen_export.models.recipes import OneShot
from gen_export.spec import vae
from gen_export.spec.objectives import mse
from gen_runtime.ports import Port

SIZES = {"tiny": (16, 1), "small": (48, 1), "base": (128, 2)}


@dataclass(frozen=True, slots=True)
class VAEConfig:
    """Options of the VAE family.

    Raises:
        ConfigError: An option outside its range.
    """

    size: Annotated[Size, "Width and depth of the networks."] = "small"
    latent: Annotated[int, "Number of latent variables."] = 32
    beta: Annotated[float, "Weight of the KL term (a mean over latents)."] = 0.005

    def __post_init__(self) -> None:
        require(self.size in SIZES, "size", f"one of {', '.join(get_args(Size))}", self.size)
        require(1 <= self.latent <= 65_536, "latent", "1 to 65536", self.latent)
        require(math.isfinite(self.beta) and self.beta >= 0, "beta", "a finite number, at least 0", self.beta)


def _blocks(channels: int, count: int) -> list[nn.Module]:
    return [ResidualBlock(channels) for _ in range(count)]


class VAE(Family):
    """The family `vae`."""

    name = "vae"
    summary = "Variational autoencoder: images from a Gaussian latent by one decoder call."
    Config = VAEConfig

    def __init__(self, config: VAEConfig, image: ImageShape) -> None:
        super().__init__(config, image)
        width, blocks = SIZES[config.size]
        wide = 2 * width
        self.start_shape = (wide, image.height // 4, image.width // 4)
        self.encoder = nn.Sequential(
            patchify(image.channels, width), *_blocks(width, blocks), downsample(width, wide), *_blocks(wide, blocks),
            nn.GroupNorm(8, wide), nn.SiLU(), nn.Flatten(), nn.Linear(math.prod(self.start_shape), 2 * config.latent),
        )  # fmt: skip
        self.from_latent = nn.Linear(config.latent, math.prod(self.start_shape))
        self.decoder = nn.Sequential(
            *_blocks(wide, blocks + 1), upsample(wide, width), *_blocks(width, blocks + 1),
            Unpatchify(width, image.channels), nn.Tanh(),
        )  # fmt: skip

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean and log-variance, each (B, n)."""
        latent = self.config.latent
        both = self.encoder(image)
        return both[:, :latent], both[:, latent:]

    def decode(self, z: Tensor) -> Tensor:
        """Images (B, C, H, W) of latents (B, n)."""
        return self.decoder(self.from_latent(z).reshape(-1, *self.start_shape))

    def reconstruct(self, image: Tensor) -> Tensor:
        """The decoded posterior mean."""
        return self.decode(self.encode(image)[0])

    def objective(self, image: Tensor, eps: Tensor, beta: Tensor | float) -> tuple[Tensor, Tensor, Tensor]:
        """The loss, its reconstruction and its KL for given noise."""
        mu, logvar = self.encode(image)
        reconstruction = mse(self.decode(vae.reparameterize(mu, logvar, eps)), image)
        kl = vae.kl_mean(mu, logvar)
        return vae.beta_vae_loss(reconstruction, kl, beta), reconstruction, kl

    def losses(self, x: Tensor, rng: Generator) -> dict[str, Tensor]:
        """The loss with its two terms."""
        eps = torch.randn((len(x), self.config.latent), generator=rng, device=x.device)
        loss, reconstruction, kl = self.objective(x, eps, self.config.beta)
        return {"loss": loss, "reconstruction": reconstruction, "kl": kl}

    def graphs(self) -> list[Graph]:
        """encode, decode, reconstruct and objective."""
        latent = ("batch", self.config.latent)
        image, rebuilt = (
            self.image_port("image", "images"),
            self.image_port("reconstruction", "reconstructed images"),
        )
        mu = Port("mu", "float32", latent, "posterior mean")
        logvar = Port("logvar", "float32", latent, "posterior log-variance")
        z, eps = (Port(name, "float32", latent, "standard normal latent") for name in ("z", "eps"))
        beta = Port("beta", "float32", (), "weight of the KL term", minimum=0, default=self.config.beta, optional=True)
        terms = (
            Port("loss", "float32", (), "reconstruction + beta * kl"),
            Port("reconstruction", "float32", (), "mean squared error over pixels"),
            Port("kl", "float32", (), "mean KL over latents, in nats", minimum=0),
        )
        return [
            Graph("encode", "The posterior of images.", self.encode, (image,), (mu, logvar)),
            Graph("decode", "Images of latents.", self.decode, (z,), (image,)),
            Graph(
                "reconstruct",
                "Images through the posterior mean and back.",
                self.reconstruct,
                (image,),
                (rebuilt,),
            ),
            Graph("objective", "The loss and its terms.", self.objective, (image, eps, beta), terms),
        ]

    def recipe(self) -> OneShot:
        """One decoder call."""
        return OneShot((self.config.latent,))
