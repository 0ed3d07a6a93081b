"""Autoencoder: an image through a short vector and back.

Hinton & Salakhutdinov, *Reducing the Dimensionality of Data with Neural Networks* (Science, 2006); reference
section 7.

Spec:
    loss = mean |decode(encode(x)) - x|^2                                            (a mean over pixels)

Graphs:
    reconstruct: image (B, C, H, W)             ->  reconstruction (B, C, H, W): decode(encode(image))
    encode:      image                          ->  code (B, n)
    decode:      code (B, n)                    ->  image
    objective:   image                          ->  loss ()
"""

from dataclasses import dataclass
from typing import Annotated, get_args

from torch import Tensor

from gen_export.models.codec import SIZES, CodeDecoder, code_encoder
from gen_export.models.draws import Source
from gen_export.models.family import Batch, Family, Graph, ImageShape, Player, Size, require
from gen_export.spec.objectives import mse
from gen_runtime.ports import Port


@dataclass(frozen=True, slots=True)
class AutoencoderConfig:
    """Options of the autoencoder family.

    Raises:
        ConfigError: An option outside its range.
    """

    size: Annotated[Size, "Width and depth of the networks."] = "small"
    latent: Annotated[int, "Length of the code."] = 32

    def __post_init__(self) -> None:
        require(self.size in SIZES, "size", f"one of {', '.join(get_args(Size))}", self.size)
        require(1 <= self.latent <= 65_536, "latent", "1 to 65536", self.latent)


class Autoencoder(Family):
    """The family `autoencoder`."""

    name = "autoencoder"
    summary = "Autoencoder: images to short codes and back."
    Config = AutoencoderConfig
    main = "reconstruct"

    def __init__(self, config: AutoencoderConfig, image: ImageShape) -> None:
        super().__init__(config, image)
        self.encoder = code_encoder(image, config.size, config.latent)
        self.decoder = CodeDecoder(image, config.size, config.latent)

    def encode(self, image: Tensor) -> Tensor:
        """Codes (B, n) of images (B, C, H, W)."""
        return self.encoder(image)

    def decode(self, code: Tensor) -> Tensor:
        """Images of codes."""
        return self.decoder(code)

    def reconstruct(self, image: Tensor) -> Tensor:
        """The decoded codes of images."""
        return self.decode(self.encode(image))

    def objective(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The loss; on the way, the codes and what they decode to."""
        code = self.encode(image)
        rebuilt = self.decode(code)
        return mse(rebuilt, image), code, rebuilt

    def players(self) -> tuple[Player, ...]:
        """Encoder and decoder together."""
        return (Player("autoencoder", (self,), self.reconstruction_losses),)

    def reconstruction_losses(self, batch: Batch, rng: Source) -> dict[str, Tensor]:
        """The loss; nothing in it is random."""
        return {"loss": self.objective(batch.images)[0]}

    def rebuild(self, x: Tensor) -> tuple[Tensor, ...]:
        """The reconstructions."""
        return (self.reconstruct(x),)

    def graphs(self) -> list[Graph]:
        """reconstruct, encode, decode and objective."""
        image = self.image_port("image", "images")
        rebuilt = self.image_port("reconstruction", "reconstructed images")
        code = Port("code", "float32", ("batch", self.config.latent), "what is kept of each image")
        loss = Port("loss", "float32", (), "mean squared error over pixels", minimum=0)
        return [
            Graph("reconstruct", "Images through their codes and back.", self.reconstruct, (image,), (rebuilt,)),
            Graph("encode", "The codes of images.", self.encode, (image,), (code,)),
            Graph("decode", "Images of codes.", self.decode, (code,), (image,)),
            Graph("objective", "The loss.", self.objective, (image,), (loss,), (code, rebuilt)),
        ]
