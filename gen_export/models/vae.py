"""(beta-)variational autoencoder: diagonal Gaussian posterior, Gaussian likelihood of fixed variance.

Kingma & Welling, *Auto-Encoding Variational Bayes* (2014), arXiv:1312.6114; Higgins et al., *beta-VAE*
(ICLR 2017); reference section 3.

Spec:
    z    = mu(x) + exp(logvar(x) / 2) eps,  eps ~ N(0, I)
    loss = mean |decode(z) - x|^2 + beta mean KL(N(mu, exp logvar) || N(0, 1))       (means, not sums)
    prior_loss = mean -log p(z) / n,  z the latents of images, in nats a latent
    sample: decode(z), z ~ p
The images' latents are not quite N(0, I), so what is decoded of it is often no image. By default p is learned: once
encoder and decoder have, they stand still, and couplings learn to carry the latents to normal numbers u = f(z), so that
z = f^-1(u), u ~ N(0, I) (models.coupling; after Dai & Wipf, *Diagnosing and Enhancing VAE Models*, 2019,
arXiv:1903.05789, section 4). With the prior `normal`, p is N(0, I).
With classes, all networks are told the image's, withheld from some; any class by default. Sohn et al., *Learning
Structured Output Representation using Deep Conditional Generative Models* (NeurIPS 2015).

With n latents and D pixel values, beta = 2 s^2 n / D makes the loss 2 s^2 / D times the negative ELBO of a likelihood
of variance s^2 under the prior N(0, I), up to a constant. K latents of each image bound log p(image) more closely than
the ELBO does: Burda et al., *Importance Weighted Autoencoders* (2016), arXiv:1509.00519, equation 8.

Graphs, each with the label () as a last input where there are classes:
    encode:      image (B, C, H, W)             ->  mu (B, n), logvar (B, n)
    decode:      z (B, n)                       ->  image (B, C, H, W)
    reconstruct: image                          ->  reconstruction (B, C, H, W): decode(mu)
    objective:   image, eps (B, n), beta ()     ->  loss (), reconstruction (), kl ()
    bound:       image, eps (K, B, n), s^2 ()   ->  elbo (B), bound (B), in nats an image, under p
    normalize:   z                              ->  u (B, n), log_density (B): log p(z), in nats
    latent:      u                              ->  z (B, n): f^-1(u)
The last two are of a learned prior.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from gen_export.models.codec import SIZES, CodeDecoder, code_encoder
from gen_export.models.coupling import CouplingFlow
from gen_export.models.draws import Source, draw_rows
from gen_export.models.family import Batch, Family, Graph, ImageShape, Player, Size, require
from gen_export.models.labels import Classes, LabelEmbedding, label_ports, require_classes, told
from gen_export.models.recipes import OneShot
from gen_export.spec import coupling, vae
from gen_export.spec.objectives import mse
from gen_runtime.ports import Port

PRIORS = ("flow", "normal")


@dataclass(frozen=True, slots=True)
class VAEConfig:
    """Options of the VAE family.

    Raises:
        ConfigError: An option outside its range.
    """

    size: Annotated[Size, "Width and depth of the networks."] = "small"
    latent: Annotated[int, "Number of latent variables."] = 32
    beta: Annotated[float, "Weight of the KL term (a mean over latents)."] = 0.005
    prior: Annotated[
        Literal["flow", "normal"], "Law of the latents that images are drawn from: learned by a flow, or normal."
    ] = "flow"
    classes: Classes = ()

    def __post_init__(self) -> None:
        require(self.size in SIZES, "size", f"one of {', '.join(get_args(Size))}", self.size)
        require(1 <= self.latent <= 65_536, "latent", "1 to 65536", self.latent)
        # float32 then holds the variance that beta stands for too, whatever the image.
        require(self.beta == 0 or 1e-30 <= self.beta <= 1e30, "beta", "0 or a number from 1e-30 to 1e30", self.beta)
        require(self.prior in PRIORS, "prior", f"one of {', '.join(PRIORS)}", self.prior)
        require(self.prior == "normal" or self.latent >= 2, "latent", "2 or more for the prior flow", self.latent)
        require_classes(self.classes)


class VAE(Family):
    """The family `vae`."""

    name = "vae"
    summary = "Variational autoencoder: images from a Gaussian latent by one decoder call."
    Config = VAEConfig
    defaults: ClassVar[Mapping[str, Any]] = {"lr": 2e-3}

    def __init__(self, config: VAEConfig, image: ImageShape) -> None:
        super().__init__(config, image)
        self.encoder = code_encoder(image, config.size, 2 * config.latent)
        classes = len(config.classes)
        self.decoder = CodeDecoder(image, config.size, config.latent, classes)
        self.label = LabelEmbedding(classes, 2 * config.latent) if classes else None
        self.flow = CouplingFlow(config.latent, config.size, classes) if config.prior == "flow" else None

    def encode(self, image: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Posterior mean and log-variance, each (B, n), of images of classes (B,) or (); None is any."""
        latent = self.config.latent
        both = self.encoder(image)
        if self.label is not None:
            both = both + self.label(label)
        return both[:, :latent], both[:, latent:]

    def decode(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """Images (B, C, H, W) of latents (B, n)."""
        return self.decoder(z, label)

    def normalize(self, z: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What the prior makes of latents z (B, n): standard normal numbers (B, n), and log p(z) (B,) in nats."""
        assert self.flow is not None
        u, log_determinant = self.flow.normalize(z, label)
        return u, coupling.log_density(u, log_determinant)

    def latent(self, u: Tensor, label: Tensor | None = None) -> Tensor:
        """The latents (B, n) that `normalize` carries to u (B, n)."""
        assert self.flow is not None
        return self.flow.generate(u, label)

    def reconstruct(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        """The decoded posterior mean."""
        return self.decode(self.encode(image, label)[0], label)

    def objective(
        self, image: Tensor, eps: Tensor, beta: Tensor | float, label: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """The loss, its reconstruction and its KL for given noise; on the way, the posterior and the latent."""
        mu, logvar = self.encode(image, label)
        z = vae.reparameterize(mu, logvar, eps)
        reconstruction = mse(self.decode(z, label), image)
        kl = vae.kl_mean(mu, logvar)
        return vae.beta_vae_loss(reconstruction, kl, beta), reconstruction, kl, mu, logvar, z

    def bound(self, image: Tensor, eps: Tensor, variance: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Lower bounds of log p(image) in nats, (B,) each: the ELBO, and the importance-weighted one.

        Args:
            image: Images, (B, C, H, W).
            eps: Standard normal noise, (K, B, n).
            variance: That of the likelihood, ().
            label: The class of all, (); None is any.
        """
        mu, logvar = (torch.broadcast_to(value, eps.shape) for value in self.encode(image, label))
        z = vae.reparameterize(mu, logvar, eps)
        x_hat = self.decode(z.flatten(0, 1), label)
        x = torch.broadcast_to(image, (*eps.shape[:2], *self.image.chw)).flatten(0, 1)
        z, mu, logvar = (value.flatten(0, 1) for value in (z, mu, logvar))
        log_prior = vae.gaussian_log_density(z, 0.0, 1.0) if self.flow is None else self.normalize(z, label)[1]
        log_w = vae.log_importance_weights(x, x_hat, variance, log_prior, z, mu, logvar).reshape(eps.shape[:2])
        return log_w.mean(0), vae.importance_weighted_bound(log_w)

    def likelihood_variance(self) -> float:
        """The variance s^2 of the likelihood that beta stands for; 1 for beta = 0, which stands for none."""
        return self.config.beta * math.prod(self.image.chw) / (2 * self.config.latent) or 1.0

    def players(self) -> tuple[Player, ...]:
        """Encoder and decoder together; a prior that is learned in the second half of a run."""
        halves = (self.encoder, self.decoder, *([] if self.label is None else [self.label]))
        weights = {"beta": self.config.beta}
        if self.flow is None:
            return (Player("autoencoder", halves, self.elbo_losses, weights=weights),)
        return (
            Player("autoencoder", halves, self.elbo_losses, end=0.5, weights=weights),
            Player("prior", (self.flow,), self.prior_losses, begin=0.5),
        )

    def elbo_losses(self, batch: Batch, rng: Source, beta: Tensor | None = None) -> dict[str, Tensor]:
        """The loss with its two terms."""
        x, weight = batch.images, self.config.beta if beta is None else beta
        eps = draw_rows(torch.randn, (x.shape[0], self.config.latent), rng)
        loss, reconstruction, kl, *_ = self.objective(x, eps, weight, told(batch, self.config.classes, rng))
        return {"loss": loss, "reconstruction": reconstruction, "kl": kl}

    def prior_losses(self, batch: Batch, rng: Source) -> dict[str, Tensor]:
        """The prior's negative log-likelihood of the images' latents, in nats a latent."""
        x, label = batch.images, told(batch, self.config.classes, rng)
        with torch.no_grad():
            mu, logvar = self.encode(x, label)
            z = vae.reparameterize(mu, logvar, draw_rows(torch.randn, mu.shape, rng))
        return {"prior_loss": -self.normalize(z, label)[1].mean() / self.config.latent}

    def rebuild(self, x: Tensor) -> tuple[Tensor, ...]:
        """The reconstructions."""
        return (self.reconstruct(x),)

    def graphs(self) -> list[Graph]:
        """encode, decode, reconstruct, objective and bound; normalize and latent where the prior is learned."""
        latent = ("batch", self.config.latent)
        image = self.image_port("image", "images")
        rebuilt = self.image_port("reconstruction", "reconstructed images")
        mu = Port("mu", "float32", latent, "posterior mean")
        logvar = Port("logvar", "float32", latent, "posterior log-variance")
        z, eps = (Port(name, "float32", latent, "standard normal latent") for name in ("z", "eps"))
        beta = Port("beta", "float32", (), "weight of the KL term", minimum=0, default=self.config.beta, optional=True)
        label = label_ports(self.config.classes)
        terms = (
            Port("loss", "float32", (), "reconstruction + beta * kl"),
            Port("reconstruction", "float32", (), "mean squared error over pixels"),
            Port("kl", "float32", (), "mean KL over latents, in nats", minimum=0),
        )
        return [
            Graph("encode", "The posterior of images.", self.encode, (image, *label), (mu, logvar)),
            Graph("decode", "Images of latents.", self.decode, (z, *label), (image,)),
            Graph(
                "reconstruct",
                "Images through the posterior mean and back.",
                self.reconstruct,
                (image, *label),
                (rebuilt,),
            ),
            Graph(
                "objective",
                "The loss and its terms.",
                self.objective,
                (image, eps, beta, *label),
                terms,
                (mu, logvar, z),
            ),
            self._bound_graph(image, *label),
            *([] if self.flow is None else self._prior_graphs(*label)),
        ]

    def _bound_graph(self, image: Port, *label: Port) -> Graph:
        """The graph `bound`."""
        noise = Port("eps", "float32", ("samples", "batch", self.config.latent), "standard normal latents")
        default, what = self.likelihood_variance(), "variance of the likelihood"
        least = min(1e-6, default / 2)  # a half, so that the default is above it in float32 too
        variance = Port("variance", "float32", (), what, least, default=default, optional=True)
        bounds = tuple(
            Port(name, "float32", ("batch",), f"{what} bound of log p(image), in nats")
            for name, what in (("elbo", "evidence lower"), ("bound", "importance-weighted lower"))
        )
        return Graph("bound", "How likely images are, at least.", self.bound, (image, noise, variance, *label), bounds)

    def _prior_graphs(self, *label: Port) -> list[Graph]:
        """The graphs `normalize` and `latent`."""
        u, z = (
            Port(name, "float32", ("batch", self.config.latent), what)
            for name, what in (("u", "standard normal numbers"), ("z", "latents"))
        )
        density = Port("log_density", "float32", ("batch",), "log p(z) of the prior, in nats")
        return [
            Graph("normalize", "The normal numbers of latents.", self.normalize, (z, *label), (u, density)),
            Graph("latent", "The latents of normal numbers.", self.latent, (u, *label), (z,)),
        ]

    def recipe(self) -> OneShot:
        """One decoder call, after one of the prior where it is learned."""
        graphs = ("decode",) if self.flow is None else ("latent", "decode")
        return OneShot((self.config.latent,), graphs, self.config.classes)
