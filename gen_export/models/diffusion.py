"""Denoising diffusion with the variance-preserving process.

Ho et al., *Denoising Diffusion Probabilistic Models* (2020), arXiv:2006.11239; reference section 6.

Spec (states t = 0..T, alpha_bar_0 = 1, time t / T):
    x_t  = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps,  eps ~ N(0, I)
    eps_hat(x_t, t) = F(x_t, t / T), or with F as a velocity sqrt(abar_t) F(x_t, t / T) + sqrt(1 - abar_t) x_t
    loss = mean |eps_hat(x_t, t) - eps|^2,  t ~ uniform 1..T                         (equation 14)
    sample: DDIM over trailing states, clean image clipped to [-1, 1]                (spec.samplers.ddim_sample)

Graphs:
    denoise:   x (B, C, H, W), t (B)            ->  eps (B, C, H, W)
    noising:   x0, t, eps                       ->  x (B, C, H, W)
    objective: x0, t, eps                       ->  loss ()
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import numpy as np
import torch
from torch import Generator, Tensor

from gen_export.models.denoisers import ResidualNet, UNet
from gen_export.models.family import Family, Graph, ImageShape, Player, Size, require
from gen_export.models.recipes import Denoising
from gen_export.spec import diffusion, schedules
from gen_runtime.ports import Port

NETS, SCHEDULES, PREDICTIONS = ("unet", "residual"), ("cosine", "linear"), ("v", "eps")
UNET_SIZES = {"tiny": (32, 1), "small": (48, 1), "base": (128, 3)}
RESIDUAL_HIDDEN = {"tiny": 16, "small": 64, "base": 128}


@dataclass(frozen=True, slots=True)
class DiffusionConfig:
    """Options of the diffusion family.

    Raises:
        ConfigError: An option outside its set.
    """

    net: Annotated[Literal["unet", "residual"], "Network: a U-Net, or the compact residual convolutional one."] = "unet"
    size: Annotated[Size, "Width and depth of the network."] = "small"
    schedule: Annotated[Literal["cosine", "linear"], "Noise schedule."] = "cosine"
    states: Annotated[int, "T, the number of noise levels."] = 1000
    predict: Annotated[
        Literal["v", "eps"] | None, "What the network gives: by default v for the U-Net, eps for the residual net."
    ] = None

    def __post_init__(self) -> None:
        choices = {"net": NETS, "size": get_args(Size), "schedule": SCHEDULES, "predict": (*PREDICTIONS, None)}
        for name, kinds in choices.items():
            require(getattr(self, name) in kinds, name, f"one of {', '.join(map(str, kinds))}", getattr(self, name))
        # Beyond, alpha_bar_T is so small that the first step only amplifies float32 rounding, to whole grey levels.
        require(1 <= self.states <= 4000, "states", "1 to 4000", self.states)

    @property
    def velocity(self) -> bool:
        """Whether the network's output is a velocity."""
        return (self.predict or ("v" if self.net == "unet" else "eps")) == "v"

    def alpha_bars(self) -> np.ndarray:
        """alpha_bar of the states 0..T, float32 (T + 1,)."""
        return schedules.named_alpha_bars(self.schedule, self.states).astype(np.float32)


class Diffusion(Family):
    """The family `diffusion`."""

    name = "diffusion"
    summary = "Denoising diffusion: images from noise by a loop over a denoiser."
    Config = DiffusionConfig

    def __init__(self, config: DiffusionConfig, image: ImageShape) -> None:
        super().__init__(config, image)
        if config.net == "unet":
            self.net = UNet(image.channels, *UNET_SIZES[config.size])
        else:
            self.net = ResidualNet(image.channels, RESIDUAL_HIDDEN[config.size])
        self.abars: Tensor
        self.register_buffer("abars", torch.from_numpy(config.alpha_bars()), persistent=False)

    def denoise(self, x: Tensor, t: Tensor) -> Tensor:
        """Predicted noise of x (B, C, H, W) at states t (B,) or (1,), int64."""
        output = self.net(x, schedules.state_time(t, self.config.states))
        return diffusion.eps_from_velocity(x, output, self._abar(t)) if self.config.velocity else output

    def noising(self, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x_t of clean images x0 at states t (B,) with noise eps."""
        return diffusion.forward_noising(x0, eps, self._abar(t))

    def objective(self, x0: Tensor, t: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The loss for given states and noise; on the way, the noised images and the noise predicted in them."""
        x = self.noising(x0, t, eps)
        eps_hat = self.denoise(x, t)
        return diffusion.epsilon_loss(eps_hat, eps), x, eps_hat

    def _abar(self, t: Tensor) -> Tensor:
        """alpha_bar of states t, (B, 1, 1, 1)."""
        return self.abars.index_select(0, t).reshape(-1, 1, 1, 1)

    def players(self) -> tuple[Player, ...]:
        """The denoiser."""
        return (Player("denoiser", (self,), self.epsilon_losses),)

    def epsilon_losses(self, x: Tensor, rng: Generator) -> dict[str, Tensor]:
        """The loss at random states."""
        t = torch.randint(1, self.config.states + 1, (len(x),), generator=rng, device=x.device)
        eps = torch.randn(x.shape, generator=rng, device=x.device)
        return {"loss": self.objective(x, t, eps)[0]}

    def graphs(self) -> list[Graph]:
        """denoise, noising and objective."""
        last = self.config.states
        x0 = self.image_port("x0", "clean images")
        eps = Port("eps", "float32", x0.shape, "standard normal noise")
        x = Port("x", "float32", x0.shape, "noised images")
        t = Port("t", "int64", ("batch",), "noise level: 0 clean .. T noise", minimum=0, maximum=last)
        eps_hat = Port("eps_hat", "float32", x0.shape, "predicted noise")
        loss = Port("loss", "float32", (), "mean squared error of the predicted noise")
        return [
            Graph("denoise", "Predict the noise in images.", self.denoise, (x, t), (eps,)),
            Graph("noising", "Add noise to clean images.", self.noising, (x0, t, eps), (x,)),
            Graph(
                "objective", "The training loss for given noise.", self.objective, (x0, t, eps), (loss,), (x, eps_hat)
            ),
        ]

    def recipe(self) -> Denoising:
        """DDIM over the denoiser."""
        return Denoising(self.image.chw, self.config.alpha_bars(), min(50, self.config.states))

    def schedule(self) -> dict[str, Any]:
        """Kind, number of states, what `denoise` gives, and what the network inside it gives."""
        inside = "v" if self.config.velocity else "eps"
        return {"kind": self.config.schedule, "states": self.config.states, "predicts": "eps", "network": inside}
