"""Masked autoencoder: a transformer sees a few patches of an image and fills in the rest.

He et al., *Masked Autoencoders Are Scalable Vision Learners* (2022), arXiv:2111.06377; reference section 8.

Spec (P patches of p x p pixels, `hidden` one truth a patch; a class token is always visible):
    features   = encoder(class token, visible patches + positions)
    prediction = decoder(features, a learned token in place of each hidden patch, + positions)
    loss       = mean over hidden pixels |prediction - x|^2, averaged over images    (spec.masks.masked_mse)
    training hides round(mask_ratio P) patches of each image, drawn uniformly        (spec.masks.random_hidden)

Training runs the encoder on the visible patches alone, the same number in each image. In the files every image may
hide another number: there the encoder runs on all patches and nothing attends to a hidden one, which gives the
visible patches the same features.

Graphs:
    reconstruct: image (B, C, H, W), mask (B, H / p, W / p)  ->  reconstruction (B, C, H, W), masked (B, C, H, W)
    encode:      image, mask                                 ->  features (B, 1 + P, D), rows of hidden patches 0
    objective:   image, mask                                 ->  loss ()
"""

import math
from dataclasses import dataclass
from typing import Annotated, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gen_export.models.draws import Source, draw_rows
from gen_export.models.family import Batch, Family, Graph, ImageShape, Player, Size, require
from gen_export.models.transformer import Block
from gen_export.spec.diffusion import clip_to_unit
from gen_export.spec.masks import hide, masked_mse, merge, random_hidden
from gen_runtime.ports import Port


@dataclass(frozen=True, slots=True)
class Stack:
    """Width of the tokens, number of blocks, and heads of each."""

    width: int
    depth: int
    heads: int


SIZES = {
    "tiny": (Stack(32, 2, 2), Stack(16, 1, 2)),
    "small": (Stack(128, 4, 4), Stack(64, 2, 4)),
    "base": (Stack(384, 8, 6), Stack(192, 4, 6)),
}
"""Encoder and decoder."""
TOKEN_SCALE = 0.02
ADAM_BETAS = (0.9, 0.95)  # the paper's, table 8
PICTURE_SEED = 0
MOST_PATCHES = 4096


@dataclass(frozen=True, slots=True)
class MAEConfig:
    """Options of the masked autoencoder family.

    Raises:
        ConfigError: An option outside its range.
    """

    size: Annotated[Size, "Width and depth of the networks."] = "small"
    patch: Annotated[int, "Height and width of a patch, in pixels."] = 4
    mask_ratio: Annotated[float, "Share of the patches that training hides."] = 0.75

    def __post_init__(self) -> None:
        require(self.size in SIZES, "size", f"one of {', '.join(get_args(Size))}", self.size)
        require(self.patch >= 1, "patch", "at least 1", self.patch)
        require(0 < self.mask_ratio < 1, "mask_ratio", "above 0 and below 1", self.mask_ratio)


class MaskedAutoencoder(Family):
    """The family `mae`.

    Raises:
        ConfigError: The patch does not divide the image or cuts it too finely, or the ratio hides none or all of them.
    """

    name = "mae"
    summary = "Masked autoencoder: fills in the hidden patches of images."
    Config = MAEConfig
    main = "reconstruct"

    def __init__(self, config: MAEConfig, image: ImageShape) -> None:
        super().__init__(config, image)
        self.patches = _patch_grid(config.patch, image)
        self.visible = _visible_count(math.prod(self.patches), config.mask_ratio)
        pixels = image.channels * config.patch**2
        self.encoder, self.decoder = (Transformer(stack, self.patches) for stack in SIZES[config.size])
        wide, narrow = (stack.width for stack in SIZES[config.size])
        self.embed = nn.Linear(pixels, wide)
        self.class_token = nn.Parameter(TOKEN_SCALE * torch.randn(1, 1, wide))
        self.narrow = nn.Linear(wide, narrow)
        self.mask_token = nn.Parameter(TOKEN_SCALE * torch.randn(1, 1, narrow))
        self.head = nn.Linear(narrow, pixels)

    def hidden_pixels(self, mask: Tensor) -> Tensor:
        """The mask of patches (B, H / p, W / p) as one of pixels (B, 1, H, W)."""
        patch = self.config.patch
        spread = mask[:, None, :, None, :, None].expand(-1, 1, -1, patch, -1, patch)
        return spread.reshape(-1, 1, self.image.height, self.image.width)

    def tokens(self, image: Tensor) -> Tensor:
        """The class token and the embedded patches with their positions, (B, 1 + P, D)."""
        patches = self.embed(F.pixel_unshuffle(image, self.config.patch).flatten(2).transpose(1, 2))
        class_token = self.class_token.expand(patches.shape[0], -1, -1)
        return torch.cat([class_token, patches], dim=1) + self.encoder.positions

    def encode(self, image: Tensor, mask: Tensor) -> Tensor:
        """Features (B, 1 + P, D) of images under any masks, 0 for hidden patches."""
        tokens, hidden = self.tokens(hide(image, self.hidden_pixels(mask))), _with_class(mask)
        features = self.encoder(tokens, ~hidden[:, None, None, :])
        return hide(features, hidden[:, :, None])

    def encode_visible(self, image: Tensor, mask: Tensor) -> Tensor:
        """The same features, from the visible patches alone, for masks that hide what training hides of each image."""
        tokens, hidden = self.tokens(hide(image, self.hidden_pixels(mask))), _with_class(mask)
        order = hidden.int().argsort(dim=1, stable=True)[:, : 1 + self.visible, None]
        index = order.expand(-1, -1, tokens.shape[2])
        features = self.encoder(tokens.gather(1, index))
        return features.new_zeros(tokens.shape).scatter(1, index, features)

    def predict(self, features: Tensor, mask: Tensor) -> Tensor:
        """Images (B, C, H, W) of features and the masks they were made under."""
        tokens = torch.where(_with_class(mask)[:, :, None], self.mask_token, self.narrow(features))
        pixels = self.head(self.decoder(tokens + self.decoder.positions)[:, 1:])
        grid = pixels.transpose(1, 2).reshape(-1, pixels.shape[2], *self.patches)
        return F.pixel_shuffle(grid, self.config.patch)

    def reconstruct(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images with their hidden patches predicted, and with them 0; on the way, the prediction."""
        hidden = self.hidden_pixels(mask)
        prediction = self.predict(self.encode(image, mask), mask)
        return merge(image, clip_to_unit(prediction), hidden), hide(image, hidden), prediction

    def objective(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The loss for given masks; on the way, the prediction and the features."""
        features = self.encode(image, mask)
        prediction = self.predict(features, mask)
        return masked_mse(prediction, image, self.hidden_pixels(mask)), prediction, features

    def random_mask(self, count: int, rng: Source) -> Tensor:
        """Masks (count, H / p, W / p) that hide the share `mask_ratio` of the patches."""
        uniforms = draw_rows(torch.rand, (count, math.prod(self.patches)), rng)
        return random_hidden(uniforms, self.config.mask_ratio).reshape(-1, *self.patches)

    def players(self) -> tuple[Player, ...]:
        """Encoder and decoder together."""
        return (Player("autoencoder", (self,), self.masked_losses, betas=ADAM_BETAS),)

    def masked_losses(self, batch: Batch, rng: Source) -> dict[str, Tensor]:
        """The loss under random masks."""
        x = batch.images
        mask = self.random_mask(x.shape[0], rng)
        prediction = self.predict(self.encode_visible(x, mask), mask)
        return {"loss": masked_mse(prediction, x, self.hidden_pixels(mask))}

    def rebuild(self, x: Tensor) -> tuple[Tensor, ...]:
        """The masked images and their reconstructions, always under the same masks."""
        mask = self.random_mask(len(x), torch.Generator().manual_seed(PICTURE_SEED)).to(x.device)
        reconstruction, masked, _ = self.reconstruct(x, mask)
        return masked, reconstruction

    def graphs(self) -> list[Graph]:
        """reconstruct, encode and objective."""
        image = self.image_port("image", "images")
        mask = Port("mask", "bool", ("batch", *self.patches), "true where a patch is hidden")
        rebuilt = self.image_port("reconstruction", "images with their hidden patches predicted")
        masked = self.image_port("masked", "images with their hidden patches 0")
        tokens = 1 + math.prod(self.patches), self.embed.out_features
        features = Port("features", "float32", ("batch", *tokens), "of the class token and of each patch, 0 if hidden")
        loss = Port("loss", "float32", (), "mean squared error over hidden pixels", minimum=0)
        prediction = Port("prediction", "float32", image.shape, "predicted images, before clipping")
        inputs = image, mask
        return [
            Graph(
                "reconstruct",
                "Fill in the hidden patches of images.",
                self.reconstruct,
                inputs,
                (rebuilt, masked),
                (prediction,),
            ),
            Graph("encode", "Features of the visible patches.", self.encode, inputs, (features,)),
            Graph("objective", "The loss for given masks.", self.objective, inputs, (loss,), (prediction, features)),
        ]


class Transformer(nn.Module):
    """Blocks and a last norm, over the class token and the patches, whose positions it holds."""

    def __init__(self, stack: Stack, patches: tuple[int, int]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(stack.width, stack.heads) for _ in range(stack.depth))
        self.norm = nn.LayerNorm(stack.width)
        self.positions: Tensor
        positions = F.pad(sinusoidal_positions(*patches, stack.width), (0, 0, 1, 0))
        self.register_buffer("positions", positions, persistent=False)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The normalised output, shape of x (B, L, D); `mask` is that of the blocks."""
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x)


def sinusoidal_positions(rows: int, columns: int, width: int) -> Tensor:
    """Sines and cosines of each row and each column at width / 4 frequencies from 1 to 1/10000, (rows columns, width).

    Vaswani et al. (2017), arXiv:1706.03762, section 3.5, in two dimensions; `width` is a multiple of 4.
    """
    frequencies = 10_000.0 ** -(torch.arange(width // 4) / (width // 4))
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    angles = [place.reshape(-1, 1) * frequencies for place in (row, column)]
    return torch.cat([wave for angle in angles for wave in (angle.sin(), angle.cos())], dim=1)


def _with_class(mask: Tensor) -> Tensor:
    """Which of the class token and the patches is hidden, (B, 1 + P)."""
    return F.pad(mask.flatten(1), (1, 0), value=False)


def _patch_grid(patch: int, image: ImageShape) -> tuple[int, int]:
    """Rows and columns of patches."""
    divides = image.height % patch == 0 and image.width % patch == 0
    require(divides, "patch", f"a divisor of the height and width {image.height}x{image.width}", patch)
    rows, columns = image.height // patch, image.width // patch
    # Attention compares every patch with every other.
    require(rows * columns <= MOST_PATCHES, "patch", f"at most {MOST_PATCHES} patches an image", patch)
    return rows, columns


def _visible_count(patches: int, ratio: float) -> int:
    """How many patches a random mask leaves visible."""
    visible = int((~random_hidden(np.arange(patches)[None], ratio)).sum())
    expected = f"a share that hides at least one of {patches} patches, not all"
    require(0 < visible < patches, "mask_ratio", expected, ratio)
    return visible
