"""How a family's graphs turn seeded noise into images. Torch-free, and generic over arrays.

The one description that training previews, the exported sampler and its parity check all follow.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace, device

from gen_export.spec.categorical import next_code
from gen_export.spec.guidance import guide, sample_labels
from gen_export.spec.noise import normals, sample_keys, seed_bits, uniforms
from gen_export.spec.samplers import solve
from gen_export.spec.solvers import SOLVERS

Array = Any
Call = Callable[..., Array]
Noise = Callable[[int], Array]
Law = Callable[[Array, Array, int], Array]


class Recipe(ABC):
    """A kind of sampler.

    Attributes:
        law: Of the noise: from keys (N,), a draw's number (1,) and a size to numbers (N, size).
        law_name: In one phrase.
        dtype: Of the noise.
        noise_shape: Shape of one sample's noise.
        graphs: Names of the graphs that it calls.
        classes: Names of the classes that the first of them knows; it is told none where there are none.
    """

    law: ClassVar[Law] = staticmethod(normals)
    law_name: ClassVar[str] = "standard normal"
    dtype: ClassVar[str] = "float32"
    noise_shape: tuple[int, ...]
    graphs: tuple[str, ...]
    classes: tuple[str, ...]
    guided: ClassVar[bool] = True
    """Whether its classes may be exaggerated."""

    @property
    def options(self) -> dict[str, float]:
        """The sampler's options and their defaults: those of the classes."""
        return self._each_class()

    def _each_class(self) -> dict[str, float]:
        """The options for images of every class in turn, as they are; none without classes."""
        return self._labelled(len(self.classes) + 1, 1.0)

    def _labelled(self, label: int, guidance: float) -> dict[str, float]:
        return {"label": label, **({"guidance": guidance} if self.guided else {})} if self.classes else {}

    @property
    def trials(self) -> tuple[dict[str, float], ...]:
        """Options beside which an export is compared with torch, the others at their defaults."""
        return ({}, self._one_class()) if self.classes else ({},)

    def _one_class(self) -> dict[str, float]:
        """The options for images of the first class, twice as much of it as there is; none without classes."""
        return self._labelled(0, 2.0)

    @abstractmethod
    def sample(self, calls: Sequence[Call], noise: Noise, labels: Array | None, *args: Any, **options: Any) -> Array:
        """Images in [-1, 1].

        Args:
            calls: The graphs as functions. With classes the first, of `OneShot` each, may take the labels after its
                other inputs.
            noise: The noise of a draw as a function of its number.
            labels: The classes of the samples, (N,), for a recipe with classes.
            args: The sampler's options.
            options: The same by name.
        """

    def labels(self, indices: Array, label: Any) -> Array:
        """The classes (N,) of samples with these indices, for the option `label`."""
        return sample_labels(indices, label, len(self.classes))

    def draw(self, keys: Array, number: Array) -> Array:
        """The noise of one draw for samples with these keys, (N, *noise_shape)."""
        xp = array_namespace(keys)
        numbers = type(self).law(keys, number, math.prod(self.noise_shape))
        return xp.reshape(xp.astype(numbers, getattr(xp, self.dtype)), (-1, *self.noise_shape))

    def seeded(self, seed: int, indices: np.ndarray, number: int) -> np.ndarray:
        """The noise of samples `indices` of a seed for one draw, as the files compute it."""
        keys = sample_keys(seed_bits(seed), np.asarray(indices).astype(np.uint64))
        return self.draw(keys, np.array([number], np.uint64))


def _told(labels: Array | None, guidance: float) -> list[tuple[Array, ...]]:
    """What a network is told at the end of its inputs, in each of the calls that guidance takes."""
    known = () if labels is None else (labels,)
    return [known] if guidance == 1.0 else [known, ()]


def _guided(outputs: Sequence[Array], guidance: float) -> Array:
    """The output of the only call, or that of two calls guided."""
    conditional, *others = outputs
    return guide(conditional, others[0], guidance) if others else conditional


@dataclass(frozen=True, slots=True)
class OneShot(Recipe):
    """One call of each graph, of what the one before it gives: images = decode(noise), or decode(latent(noise))."""

    noise_shape: tuple[int, ...]
    graphs: tuple[str, ...] = ("decode",)
    classes: tuple[str, ...] = ()
    guided: ClassVar[bool] = False

    def sample(self, calls: Sequence[Call], noise: Noise, labels: Array | None) -> Array:
        """Images in [-1, 1] of noise draw 0."""
        (known,) = _told(labels, 1.0)
        return reduce(lambda x, call: call(x, *known), calls, noise(0))


@dataclass(frozen=True, slots=True)
class Denoising(Recipe):
    """A loop over a denoiser by one of the solvers of `gen_export.spec.solvers`.

    Attributes:
        noise_shape: Shape (C, H, W) of one image.
        alpha_bars: alpha_bar of the states 0..T, float32 (T + 1,).
        steps: Default number of steps.
        solver: Name of the default solver.
        spacing: Which states a run goes through: one of `SPACINGS`.
        graphs: Name of the denoising graph.
    """

    noise_shape: tuple[int, ...]
    alpha_bars: np.ndarray
    steps: int = 50
    solver: str = "ddim"
    spacing: str = "trailing"
    graphs: tuple[str, ...] = ("denoise",)
    classes: tuple[str, ...] = ()

    @property
    def states(self) -> int:
        """T, the most steps a run can take."""
        return len(self.alpha_bars) - 1

    @property
    def options(self) -> dict[str, float]:
        """The sampler's options and their defaults."""
        own = {"steps": self.steps, "eta": 0.0, "solver": list(SOLVERS).index(self.solver)}
        return {**own, **self._each_class()}

    @property
    def trials(self) -> tuple[dict[str, float], ...]:
        """Two steps of every solver that does not take all states, of ddim with fresh noise, and for one class.

        The first divides by sqrt(alpha_bar_T), which even clipped turns float32 rounding into up to a level or two.
        """
        runs = [(i, 0.0) for i, s in enumerate(SOLVERS.values()) if not s.all_states]
        short = [{"steps": min(2, self.states), "eta": eta, "solver": i} for i, eta in [*runs, (0, 1.0)]]
        return *short, *([{**short[0], **self._one_class()}] if self.classes else [])

    def sample(
        self,
        calls: Sequence[Call],
        noise: Noise,
        labels: Array | None,
        steps: int,
        eta: float,
        solver: int,
        guidance: float = 1.0,
    ) -> Array:
        """Images in [-1, 1]; the denoiser takes one state t for the whole batch."""
        (denoise,) = calls
        x = noise(0)
        abars = array_namespace(x).asarray(self.alpha_bars, dtype=x.dtype)

        def guided(x: Array, t: Any) -> Array:
            return _guided([denoise(x, t, *label) for label in _told(labels, guidance)], guidance)

        return solve(guided, x, noise, abars, steps, list(SOLVERS)[solver], eta, self.spacing)


@dataclass(frozen=True, slots=True)
class Autoregressive(Recipe):
    """A grid of codes, each drawn given those before it in row-major order, and one call of a decoder.

    `predict` takes the previous code (N,), the position (1,) and a cache (N, *cache_shape) of what it knows of the
    codes before, zeros at first; it gives the logits (N, K) of the code at the position, and the cache with it. At
    position 0 it ignores the code.

    Attributes:
        codes: K, the number of codes.
        grid: Height and width of the grid of codes.
        cache_shape: Shape of one sample's cache, float32.
        graphs: Names of the graphs that predict codes and decode their grid.
    """

    law: ClassVar[Law] = staticmethod(uniforms)
    law_name: ClassVar[str] = "uniform on (0, 1)"
    dtype: ClassVar[str] = "float64"
    codes: int
    grid: tuple[int, int]
    cache_shape: tuple[int, ...]
    graphs: tuple[str, ...] = ("predict", "decode")
    classes: tuple[str, ...] = ()

    @property
    def noise_shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """One number a code."""
        return (math.prod(self.grid),)

    @property
    def options(self) -> dict[str, float]:
        """The sampler's options and their defaults."""
        return {"temperature": 1.0, "top_k": self.codes, **self._each_class()}

    @property
    def trials(self) -> tuple[dict[str, float], ...]:
        """The defaults, and a colder choice among fewer codes, for one class."""
        return {}, {"temperature": 0.5, "top_k": max(1, self.codes // 4), **self._one_class()}

    def sample(
        self,
        calls: Sequence[Call],
        noise: Noise,
        labels: Array | None,
        temperature: float,
        top_k: int,
        guidance: float = 1.0,
    ) -> Array:
        """Images in [-1, 1]; the network takes one position for the whole batch."""
        predict, decode = calls
        u = noise(0)
        xp, place = array_namespace(u), device(u)
        code = xp.zeros(u.shape[:1], dtype=xp.int64, device=place)
        empty = xp.zeros((u.shape[0], *self.cache_shape), dtype=xp.float32, device=place)
        ways, codes = _told(labels, guidance), []
        caches = [empty] * len(ways)
        for position in range(u.shape[1]):
            found = [predict(code, position, cache, *label) for cache, label in zip(caches, ways, strict=True)]
            caches = [cache for _, cache in found]
            logits = _guided([logits for logits, _ in found], guidance)
            code = next_code(logits, u[:, position], temperature, top_k)
            codes.append(code)
        return decode(xp.reshape(xp.stack(codes, axis=1), (-1, *self.grid)))
