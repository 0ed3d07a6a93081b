"""Denoising diffusion with the variance-preserving process.

Ho et al., *Denoising Diffusion Probabilistic Models* (2020), arXiv:2006.11239; reference section 6.

Spec (states t = 0..T, alpha_bar_0 = 1, time t / T):
    x_t  = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps,  eps ~ N(0, I)
    eps_hat(x_t, t) = F(x_t, t / T), or the noise that F implies as a velocity or as the clean image
    epsilon_loss = mean |eps_hat(x_t, t) - eps|^2,  t ~ uniform 1..T                 (equation 14)
    loss = epsilon_loss, or the mean squared error of what F gives, the velocity or the clean image
    sample: DDIM over trailing states, clean image clipped to [-1, 1]                (spec.samplers.ddim_sample)
With classes, the U-Net is told the image's, withheld from some: eps_hat(x_t, t, label), and any class by default.

Graphs:
    denoise:   x (B, C, H, W), t (B), label ()  ->  eps (B, C, H, W)
    noising:   x0, t, eps                       ->  x (B, C, H, W)
    objective: x0, t, eps, label                ->  loss (), and epsilon_loss () where that is another
Beside the sampler, of any denoiser: step (export.denoising), slope, invert, log_likelihood (export.flow)
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from gen_export.models.denoisers import ResidualNet, UNet
from gen_export.models.draws import Source, draw_rows
from gen_export.models.family import Batch, Family, Graph, ImageShape, Player, Size, require
from gen_export.models.labels import Classes, label_ports, require_classes, told
from gen_export.models.monotone import MonotoneNet
from gen_export.models.recipes import Denoising
from gen_export.spec import diffusion, schedules
from gen_export.spec.objectives import mse
from gen_runtime.ports import Port

NETS = {"unet": "v", "residual": "eps", "monotone": "eps"}
"""What each network gives unless told."""
UNET_SIZES = {"tiny": (32, 1), "small": (48, 1), "base": (128, 3)}
BETAS = (0.9, 0.99)
RESIDUAL_HIDDEN = {"tiny": 16, "small": 64, "base": 128}
MONOTONE_HIDDEN = {"tiny": (16, 64, 256), "small": (32, 128, 1024), "base": (64, 256, 2048)}
STATES, TORCHLEAN_STATES = 1000, 100


@dataclass(frozen=True, slots=True)
class DiffusionConfig:
    """Options of the diffusion family.

    Raises:
        ConfigError: An option outside its set.
    """

    net: Annotated[
        Literal["unet", "residual", "monotone"],
        "Network: a U-Net, the compact residual convolutional one, or the gradient of a convex potential.",
    ] = "unet"
    size: Annotated[Size, "Width and depth of the network."] = "small"
    schedule: Annotated[
        Literal["cosine", "linear", "scaled_linear", "torchlean"],
        "Noise schedule; torchlean is TorchLean's example, beta up to 0.12 over 100 states.",
    ] = "cosine"
    states: Annotated[int, "T, the number of noise levels; 0 for the schedule's own: 1000, of torchlean 100."] = 0
    predict: Annotated[
        Literal["v", "eps", "x0"] | None,
        "What the network gives: by default v for the U-Net, eps for the others.",
    ] = None
    loss: Annotated[
        Literal["output", "eps"], "Whose squared error to minimise: what the network gives, or the noise it implies."
    ] = "output"
    lipschitz: Annotated[
        float | None, "Bound the Lipschitz constant of the predicted noise: of the residual net that gives eps."
    ] = None
    classes: Classes = ()

    def __post_init__(self) -> None:
        if self.states == 0:
            object.__setattr__(self, "states", TORCHLEAN_STATES if self.schedule == "torchlean" else STATES)
        choices = {
            "net": tuple(NETS),
            "size": get_args(Size),
            "schedule": tuple(schedules.SCHEDULES),
            "predict": (*diffusion.PREDICTIONS, None),
            "loss": ("output", "eps"),
        }
        for name, kinds in choices.items():
            require(getattr(self, name) in kinds, name, f"one of {', '.join(map(str, kinds))}", getattr(self, name))
        require(1 <= self.states <= 4000, "states", "1 to 4000", self.states)
        # Below, the first step only amplifies float32 rounding, to whole grey levels.
        last = float(self.alpha_bars()[-1])
        require(last > 1e-10, "states", "so few that alpha_bar ends above 1e-10", f"{self.states} with {last:.1e}")
        self._require_bounds()
        require_classes(self.classes)
        require(not self.classes or self.net == "unet", "classes", "the net unet", self.net)

    def _require_bounds(self) -> None:
        """Refuses a Lipschitz constant that the network cannot have, and another output of the monotone net."""
        plain = self.net == "residual" and self.output == "eps"
        bounded = self.lipschitz is None or (math.isfinite(self.lipschitz) and self.lipschitz > 0)
        require(bounded, "lipschitz", "a number above 0", self.lipschitz)
        require(
            self.lipschitz is None or plain,
            "lipschitz",
            "the net residual that predicts eps",
            f"{self.net}, {self.output}",
        )
        require(self.net != "monotone" or self.output == "eps", "predict", "eps of the net monotone", self.output)

    @property
    def output(self) -> str:
        """What the network gives: one of `PREDICTIONS`."""
        return self.predict or NETS[self.net]

    @property
    def weighs(self) -> bool:
        """Whether the loss is another than that of the noise, which weighs some states more."""
        return self.loss == "output" and self.output != "eps"

    def alpha_bars(self) -> np.ndarray:
        """alpha_bar of the states 0..T, float32 (T + 1,)."""
        return schedules.named_alpha_bars(self.schedule, self.states).astype(np.float32)


class Diffusion(Family):
    """The family `diffusion`."""

    name = "diffusion"
    summary = "Denoising diffusion: images from noise by a loop over a denoiser."
    Config = DiffusionConfig
    defaults: ClassVar[Mapping[str, Any]] = {"lr": 2e-3}

    def __init__(self, config: DiffusionConfig, image: ImageShape) -> None:
        super().__init__(config, image)
        abars = torch.from_numpy(config.alpha_bars())
        if config.net == "unet":
            self.net = UNet(image.channels, *UNET_SIZES[config.size], len(config.classes))
        elif config.net == "residual":
            self.net = ResidualNet(image.channels, RESIDUAL_HIDDEN[config.size], config.lipschitz)
        else:
            self.net = MonotoneNet(image.chw, MONOTONE_HIDDEN[config.size], abars)
        self.abars: Tensor
        self.register_buffer("abars", abars, persistent=False)

    def denoise(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """Predicted noise of x (B, C, H, W) at states t (B,) or (1,), of classes (B,) or (); None is any; int64."""
        return self._implied(x, t, self._output(x, t, label))

    def _output(self, x: Tensor, t: Tensor, label: Tensor | None) -> Tensor:
        """What the network gives."""
        level = t if self.config.net == "monotone" else schedules.state_time(t, self.config.states)
        return self.net(x, level, label) if self.config.classes else self.net(x, level)

    def _implied(self, x: Tensor, t: Tensor, output: Tensor) -> Tensor:
        """The noise that an output implies."""
        return diffusion.PREDICTIONS[self.config.output](x, output, self._abar(t))

    def noising(self, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x_t of clean images x0 at states t (B,) with noise eps."""
        return diffusion.forward_noising(x0, eps, self._abar(t))

    def objective(self, x0: Tensor, t: Tensor, eps: Tensor, label: Tensor | None = None) -> tuple[Tensor, ...]:
        """The losses for given states and noise; on the way, the noised images and what is predicted of them."""
        x = self.noising(x0, t, eps)
        output = self._output(x, t, label)
        eps_hat = self._implied(x, t, output)
        epsilon_loss = diffusion.epsilon_loss(eps_hat, eps)
        if not self.config.weighs:
            return epsilon_loss, x, eps_hat
        loss = mse(output, diffusion.TARGETS[self.config.output](x0, eps, self._abar(t)))
        return loss, epsilon_loss, x, eps_hat, output

    def _abar(self, t: Tensor) -> Tensor:
        """alpha_bar of states t, (B, 1, 1, 1)."""
        return self.abars.index_select(0, t).reshape(-1, 1, 1, 1)

    def players(self) -> tuple[Player, ...]:
        """The denoiser."""
        return (Player("denoiser", (self,), self.epsilon_losses, betas=BETAS),)

    def epsilon_losses(self, batch: Batch, rng: Source) -> dict[str, Tensor]:
        """The losses at random states."""
        x = batch.images
        t = draw_rows(partial(torch.randint, 1, self.config.states + 1), x.shape[:1], rng)
        eps = draw_rows(torch.randn, x.shape, rng)
        found = self.objective(x, t, eps, told(batch, self.config.classes, rng))
        return {port.name: value for port, value in zip(self._losses(), found, strict=False)}

    def _losses(self) -> tuple[Port, ...]:
        """What is minimised, and the error of the noise where that is another."""
        minimised = self.config.output if self.config.weighs else "eps"
        loss = Port("loss", "float32", (), f"mean squared error of the predicted {minimised}", minimum=0)
        noise = Port("epsilon_loss", "float32", (), "mean squared error of the predicted noise", minimum=0)
        return (loss, noise) if self.config.weighs else (loss,)

    def graphs(self) -> list[Graph]:
        """denoise, noising and objective."""
        last = self.config.states
        x0 = self.image_port("x0", "clean images")
        eps = Port("eps", "float32", x0.shape, "standard normal noise")
        x = Port("x", "float32", x0.shape, "noised images")
        t = Port("t", "int64", ("batch",), "noise level: 0 clean .. T noise", minimum=0, maximum=last)
        eps_hat = Port("eps_hat", "float32", x0.shape, "predicted noise")
        inner = (x, eps_hat, *([Port("output", "float32", x0.shape, "what the network gives")] * self.config.weighs))
        label = label_ports(self.config.classes)
        return [
            Graph("denoise", "Predict the noise in images.", self.denoise, (x, t, *label), (eps,)),
            Graph("noising", "Add noise to clean images.", self.noising, (x0, t, eps), (x,)),
            Graph(
                "objective",
                "The losses for given noise.",
                self.objective,
                (x0, t, eps, *label),
                self._losses(),
                inner,
            ),
        ]

    def recipe(self) -> Denoising:
        """DDIM over the denoiser."""
        config = self.config
        return Denoising(self.image.chw, config.alpha_bars(), min(50, config.states), classes=config.classes)

    def schedule(self) -> dict[str, Any]:
        """Kind, number of states, what `denoise` gives, and what the network inside it gives."""
        config = self.config
        return {"kind": config.schedule, "states": config.states, "predicts": "eps", "network": config.output}
