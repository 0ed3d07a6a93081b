"""How a family's graphs turn seeded noise into images. Torch-free, and generic over arrays.

The one description that training previews, the exported sampler and its parity check all follow.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from gen_export.spec.samplers import ddim_sample

Array = Any
Call = Callable[..., Array]
Noise = Callable[[int], Array]


@dataclass(frozen=True, slots=True)
class OneShot:
    """One call of a decoder: images = decode(noise).

    Attributes:
        noise_shape: Shape of one sample's noise.
        graph: Name of the decoding graph.
    """

    noise_shape: tuple[int, ...]
    graph: str = "decode"

    @property
    def options(self) -> dict[str, float]:
        """The sampler's options and their defaults: none."""
        return {}

    def sample(self, decode: Call, noise: Noise) -> Array:
        """Images in [-1, 1] of noise draw 0."""
        return decode(noise(0))


@dataclass(frozen=True, slots=True)
class Denoising:
    """A loop over a denoiser: DDIM with the clipped clean image, `steps` trailing states, fresh noise of scale eta.

    Attributes:
        noise_shape: Shape (C, H, W) of one image.
        alpha_bars: alpha_bar of the states 0..T, float32 (T + 1,).
        steps: Default number of steps.
        graph: Name of the denoising graph.
    """

    noise_shape: tuple[int, ...]
    alpha_bars: np.ndarray
    steps: int = 50
    graph: str = "denoise"

    @property
    def states(self) -> int:
        """T, the most steps a run can take."""
        return len(self.alpha_bars) - 1

    @property
    def options(self) -> dict[str, float]:
        """The sampler's options and their defaults."""
        return {"steps": self.steps, "eta": 0.0}

    def sample(self, denoise: Call, noise: Noise, steps: int, eta: float) -> Array:
        """Images in [-1, 1]; `denoise(x, t)` takes one state t for the whole batch."""
        x = noise(0)
        xp = array_namespace(x)
        return ddim_sample(denoise, x, noise, xp.asarray(self.alpha_bars, dtype=x.dtype), steps, eta)


Recipe = OneShot | Denoising
