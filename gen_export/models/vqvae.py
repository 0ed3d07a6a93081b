"""Vector-quantised autoencoder with a learned prior over its codes.

van den Oord et al., *Neural Discrete Representation Learning* (2017), arXiv:1711.00937; reference section 4.

Spec (a grid of H/4 x W/4 latents of d numbers, K codes c_k):
    z_e  = encoder(x),  k = argmin_j |z_e - c_j|^2,  z_q = c_k                                       (equations 1, 2)
    loss = mean |decoder(z_q) - x|^2 + mean |z_q - stop(z_e)|^2 + beta mean |z_e - stop(z_q)|^2      (equation 3)
    prior_loss = mean over positions of -log p(k_i | k_1 .. k_(i-1)),  in nats
    sample: k_i ~ p(. | k_1 .. k_(i-1)) in row-major order, then decoder(z_q)

Decoder and encoder learn first, straight through the codes; then they stand still and the prior learns.

Graphs (h = H/4, w = W/4):
    encode:      image (B, C, H, W)              ->  indices (B, h, w), encoded (B, h, w, d)
    decode:      indices                         ->  image (B, C, H, W)
    reconstruct: image                           ->  reconstruction (B, C, H, W)
    lookup:      indices                         ->  quantized (B, h, w, d)
    quantize:    encoded (B, h, w, d)            ->  indices, margin (B, h, w)
    objective:   image, beta ()                  ->  loss (), reconstruction (), codebook (), commitment ()
    nll:         indices                         ->  nats (B)
    predict:     code (B), position (1), cache   ->  logits (B, K), cache_out
With classes, the prior is told the image's, withheld from some: nll and predict then take a label (), by default any.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gen_export.models.codebook import AverageCodebook, Codebook
from gen_export.models.codec import SIZES, decoder_layers, encoder_layers, feature_shape
from gen_export.models.derivatives import stop_gradient
from gen_export.models.draws import Source
from gen_export.models.family import Batch, Family, Graph, ImageShape, Player, Size, Total, require
from gen_export.models.labels import Classes, label_ports, require_classes, told
from gen_export.models.layers import Bounded
from gen_export.models.prior import Prior
from gen_export.models.recipes import Autoregressive
from gen_export.spec import vqvae
from gen_export.spec.objectives import mse
from gen_runtime.ports import Port

LONGEST = 4096
CODEBOOKS = ("ema", "gradient")


@dataclass(frozen=True, slots=True)
class VQVAEConfig:
    """Options of the VQ-VAE family.

    Raises:
        ConfigError: An option outside its range.
    """

    size: Annotated[Size, "Width and depth of the networks, the prior's included."] = "small"
    codes: Annotated[int, "K, the number of codes."] = 256
    code_dim: Annotated[int, "Numbers a code."] = 16
    beta: Annotated[float, "Weight of the commitment term."] = 0.25
    codebook: Annotated[
        Literal["ema", "gradient"], "How codes move: as averages of their latents, or by gradients."
    ] = "ema"
    decay: Annotated[float, "Weight of the past in the averages of an ema codebook."] = 0.99
    classes: Classes = ()

    def __post_init__(self) -> None:
        require(self.size in SIZES, "size", f"one of {', '.join(get_args(Size))}", self.size)
        require(2 <= self.codes <= 65_536, "codes", "2 to 65536", self.codes)
        require(1 <= self.code_dim <= 1024, "code_dim", "1 to 1024", self.code_dim)
        require(0 <= self.beta <= torch.finfo(torch.float32).max, "beta", "a float32 number, at least 0", self.beta)
        require(self.codebook in CODEBOOKS, "codebook", f"one of {', '.join(CODEBOOKS)}", self.codebook)
        require(0 <= self.decay < 1, "decay", "a number from 0 to below 1", self.decay)
        require_classes(self.classes)


class VQVAE(Family):
    """The family `vqvae`."""

    name = "vqvae"
    summary = "Vector-quantised autoencoder: images from a grid of codes that a learned prior draws one by one."
    Config = VQVAEConfig

    def __init__(self, config: VQVAEConfig, image: ImageShape) -> None:
        super().__init__(config, image)
        features, *grid = feature_shape(image, config.size)
        length = math.prod(grid)
        require(length <= LONGEST, "image", f"at most {LONGEST} codes, one for 4x4 pixels", length)
        self.grid = grid[0], grid[1]
        channels, size, dim = image.channels, config.size, config.code_dim
        self.encoder = nn.Sequential(*encoder_layers(channels, size), nn.Conv2d(features, dim, 1))
        self.decoder = nn.Sequential(nn.Conv2d(dim, features, 1), *decoder_layers(channels, size), Bounded())
        self.codebook = (
            AverageCodebook(config.codes, dim, config.decay)
            if config.codebook == "ema"
            else Codebook(config.codes, dim)
        )
        self.prior = Prior(config.codes, length, size, len(config.classes))

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Indices (B, h, w) of the codes nearest to the latents, and the latents (B, h, w, d)."""
        encoded = self.encoder(image).permute(0, 2, 3, 1).contiguous()
        return vqvae.nearest_code(encoded, self.codebook.codes), encoded

    def lookup(self, indices: Tensor) -> Tensor:
        """The codes (B, h, w, d) of indices (B, h, w)."""
        return vqvae.lookup(self.codebook.codes, indices)

    def quantize(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """Indices (B, h, w) of the codes nearest to latents (B, h, w, d), and how far each may move and keep its own.

        A graph of its own, so that whoever only encodes does not pay for the margins.
        """
        codes = self.codebook.codes
        return vqvae.nearest_code(encoded, codes), vqvae.certified_margin(encoded, codes)

    def decode(self, indices: Tensor) -> Tensor:
        """Images (B, C, H, W) of indices (B, h, w)."""
        return self._image(self.lookup(indices))

    def reconstruct(self, image: Tensor) -> Tensor:
        """Images through their codes and back."""
        return self.decode(self.encode(image)[0])

    def objective(self, image: Tensor, beta: Tensor | float) -> tuple[Tensor, ...]:
        """The loss and its three terms; on the way, the latents and their codes."""
        indices, encoded = self.encode(image)
        selected = self.lookup(indices)
        return *self._terms(image, encoded, selected, beta), encoded, selected

    def nll(self, indices: Tensor, label: Tensor | None = None) -> Tensor:
        """Negative log-likelihood of grids of codes under the prior, in nats, (B,), of classes (B,) or ()."""
        return self._nats(indices, label).sum(1)

    def _nats(self, indices: Tensor, label: Tensor | None) -> Tensor:
        return self.prior.nats(indices.reshape(-1, math.prod(self.grid)), label)

    def _image(self, quantized: Tensor) -> Tensor:
        return self.decoder(quantized.permute(0, 3, 1, 2))

    def _terms(self, image: Tensor, encoded: Tensor, selected: Tensor, beta: Tensor | float) -> tuple[Tensor, ...]:
        stop = stop_gradient
        reconstruction = mse(self._image(vqvae.straight_through(encoded, selected, stop)), image)
        codebook = vqvae.codebook_loss(encoded, selected, stop)
        commitment = vqvae.commitment_loss(encoded, selected, stop)
        return vqvae.vqvae_loss(reconstruction, codebook, commitment, beta), reconstruction, codebook, commitment

    def players(self) -> tuple[Player, ...]:
        """The autoencoder in the first half of a run, the prior over its codes in the second."""
        return (
            Player(
                "autoencoder",
                (self.encoder, self.decoder, self.codebook),
                self.code_losses,
                end=0.5,
                settle=self.settle_codes,
                weights={"beta": self.config.beta},
            ),
            Player("prior", (self.prior,), self.prior_losses, begin=0.5),
        )

    def code_losses(self, batch: Batch, rng: Source, beta: Tensor | None = None) -> dict[str, Tensor]:
        """The loss, its terms, and how many codes the batch uses in effect; in training, the codebook takes note."""
        indices, encoded = self.encode(batch.images)
        terms = self._terms(batch.images, encoded, self.lookup(indices), self.config.beta if beta is None else beta)
        usage = F.one_hot(indices.flatten(), self.config.codes).float()
        if self.training:
            self.codebook.note(encoded.detach().flatten(0, 2), usage, rng)
        named = dict(zip(("loss", "reconstruction", "codebook", "commitment"), terms, strict=True))
        return {**named, "perplexity": vqvae.perplexity(usage.sum(0))}

    def settle_codes(self, total: Total) -> dict[str, Tensor]:
        """The codebook learns; how many codes the whole batch used in effect."""
        return {"perplexity": vqvae.perplexity(self.codebook.learn(total))}

    def prior_losses(self, batch: Batch, rng: Source) -> dict[str, Tensor]:
        """The prior's negative log-likelihood of the images' codes, in nats a code."""
        with torch.no_grad():
            indices = self.encode(batch.images)[0]
        return {"prior_loss": self._nats(indices, told(batch, self.config.classes, rng)).mean()}

    def rebuild(self, x: Tensor) -> tuple[Tensor, ...]:
        """The reconstructions."""
        return (self.reconstruct(x),)

    def graphs(self) -> list[Graph]:
        """Of the autoencoder and of the prior."""
        return [*self._code_graphs(), *self._prior_graphs()]

    def _code_graphs(self) -> list[Graph]:
        image, rebuilt = self.image_port("image", "images"), self.image_port("reconstruction", "reconstructed images")
        indices = self._indices_port()
        grid = ("batch", *self.grid, self.config.code_dim)
        encoded = Port("encoded", "float32", grid, "latents before quantisation")
        quantized = Port("quantized", "float32", grid, "codes in the place of the latents")
        margin = Port(
            "margin",
            "float32",
            ("batch", *self.grid),
            "L2 distance within which a latent keeps its code",
            minimum=0,
        )
        beta = Port(
            "beta", "float32", (), "weight of the commitment", minimum=0, default=self.config.beta, optional=True
        )
        terms = (
            Port("loss", "float32", (), "reconstruction + codebook + beta * commitment"),
            Port("reconstruction", "float32", (), "mean squared error over pixels", minimum=0),
            Port("codebook", "float32", (), "mean squared distance of the codes to the latents", minimum=0),
            Port("commitment", "float32", (), "mean squared distance of the latents to the codes", minimum=0),
        )
        return [
            Graph("encode", "Codes of images.", self.encode, (image,), (indices, encoded)),
            Graph("decode", "Images of codes.", self.decode, (indices,), (image,)),
            Graph("reconstruct", "Images through their codes and back.", self.reconstruct, (image,), (rebuilt,)),
            Graph("lookup", "The rows of the codebook.", self.lookup, (indices,), (quantized,)),
            Graph("quantize", "Codes of latents, and their margins.", self.quantize, (encoded,), (indices, margin)),
            Graph("objective", "The loss and its terms.", self.objective, (image, beta), terms, (encoded, quantized)),
        ]

    def _prior_graphs(self) -> list[Graph]:
        last, length = self.config.codes - 1, math.prod(self.grid)
        nats = Port("nats", "float32", ("batch",), "negative log-likelihood of a grid of codes, in nats", minimum=0)
        code = Port("code", "int64", ("batch",), "the code before, ignored at position 0", 0, last)
        position = Port("position", "int64", (1,), "whose code is predicted, row by row", 0, length - 1)
        cache, cache_out = (
            Port(name, "float32", ("batch", *self.prior.cache_shape), f"keys and values of the positions {which}")
            for name, which in (("cache", "before"), ("cache_out", "so far"))
        )
        logits = Port("logits", "float32", ("batch", self.config.codes), "unnormalised log-probabilities of the code")
        label = label_ports(self.config.classes)
        return [
            Graph("nll", "How likely codes are under the prior.", self.nll, (self._indices_port(), *label), (nats,)),
            Graph(
                "predict",
                "One step of the prior.",
                self.prior.step,
                (code, position, cache, *label),
                (logits, cache_out),
            ),
        ]

    def _indices_port(self) -> Port:
        return Port("indices", "int64", ("batch", *self.grid), "codes", 0, self.config.codes - 1)

    def recipe(self) -> Autoregressive:
        """Codes from the prior one by one, then one decoder call."""
        return Autoregressive(self.config.codes, self.grid, self.prior.cache_shape, classes=self.config.classes)
