"""What every family declares: its options, players, losses, graphs and the recipe of its sampler.

Training, export, parity, the command line and the contract tests follow from these declarations alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, NamedTuple

from torch import Tensor, nn

from gen_export.errors import ConfigError
from gen_export.models.draws import Source
from gen_export.models.recipes import Recipe
from gen_runtime.ports import Port

Size = Literal["tiny", "small", "base"]
LARGEST_SIDE = 1024


class Batch(NamedTuple):
    """What a step learns from.

    Attributes:
        images: (B, C, H, W) in [-1, 1].
        labels: The class of each, int64 (B,); None where the set has none.
    """

    images: Tensor
    labels: Tensor | None = None


Losses = Callable[..., dict[str, Tensor]]
Total = Callable[[Tensor], Tensor]
"""Adds a tensor up over the processes that share a batch."""


@dataclass(frozen=True, slots=True)
class ImageShape:
    """Shape of one image; `height` and `width` are multiples of 4, so that two halvings stay whole.

    Raises:
        ConfigError: A size that the networks cannot halve twice, or a number of channels that is not 1 or 3.
    """

    channels: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise ConfigError(f"image: expected 1 or 3 channels, found {self.channels}")
        sides = (self.height, self.width)
        if min(sides) < 4 or max(sides) > LARGEST_SIDE or self.height % 4 or self.width % 4:
            raise ConfigError(
                f"image: expected a height and width that are multiples of 4 up to {LARGEST_SIDE},"
                f" found {self.height}x{self.width}"
                " (an image folder takes --image-size)"
            )

    @property
    def chw(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.channels, self.height, self.width


@dataclass(frozen=True, slots=True)
class Graph:
    """One function of a family as an ONNX graph.

    Attributes:
        name: Of the graph and of its file: `<stem>.<name>.onnx`.
        summary: One sentence.
        function: Called with tensors in the order of `inputs`; returns a tensor or a tuple in that of `outputs`.
        inputs: Its input ports; a free axis has a name.
        outputs: Its output ports.
        inner: Values on the way that keep a name in the file, for checks that read them or put others in their
            place; the function returns them after its outputs.
    """

    name: str
    summary: str
    function: Callable[..., Tensor | tuple[Tensor, ...]]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    inner: tuple[Port, ...] = ()


@dataclass(frozen=True, slots=True)
class Player:
    """A set of weights and the loss that they minimise; the players of a family take turns within each step.

    Attributes:
        name: Of the player in checkpoints and messages.
        modules: Whose parameters it moves; those of the other players stand still meanwhile.
        losses: Of a batch and a generator: finite scalars by name, the one to minimise first. They take `weights` by
            name too.
        begin: Share of the run's steps after which it starts to play.
        end: Share of the run's steps after which it rests.
        betas: Decay rates of Adam's two moments.
        settle: Called once a step, after the losses of every part of the batch: learns what gradients do not teach,
            and gives the losses that are no mean over the parts' own.
        weights: Of the terms of the loss, by name, as they are when they are not given.
    """

    name: str
    modules: tuple[nn.Module, ...]
    losses: Losses
    begin: float = 0.0
    end: float = 1.0
    betas: tuple[float, float] = (0.9, 0.999)
    settle: Callable[[Total], dict[str, Tensor]] | None = None
    weights: Mapping[str, float] = field(default_factory=dict)

    def parameters(self) -> list[nn.Parameter]:
        """The parameters that it moves."""
        return [parameter for module in self.modules for parameter in module.parameters()]


class Family(nn.Module, ABC):
    """A model family. A subclass names itself, its frozen `Config` dataclass, and fills in the methods below."""

    name: ClassVar[str]
    summary: ClassVar[str]
    Config: ClassVar[type]
    defaults: ClassVar[Mapping[str, Any]] = {}
    """Training options whose defaults are not those of `TrainSettings`."""
    main: ClassVar[str] = "sample"
    """The graph in `<name>.onnx`, the file that a user calls."""

    def __init__(self, config: Any, image: ImageShape) -> None:
        super().__init__()
        self.config = config
        self.image = image

    @abstractmethod
    def players(self) -> tuple[Player, ...]:
        """Who learns, in the order of a step."""

    @abstractmethod
    def graphs(self) -> list[Graph]:
        """The functions to export beside the sampler."""

    def recipe(self) -> Recipe | None:
        """How images come from noise; None for a family that only rebuilds images."""
        return None

    def rebuild(self, x: Tensor) -> tuple[Tensor, ...]:
        """What a picture shows beside each held-out image x: tensors of its shape; none by default."""
        return ()

    def schedule(self) -> dict[str, Any] | None:
        """The noise schedule as the metadata document shows it; None where there is none."""
        return None

    def graph(self, name: str) -> Graph:
        """The declared graph of this name."""
        return next(graph for graph in self.graphs() if graph.name == name)

    def losses(self, batch: Batch, rng: Source) -> dict[str, Tensor]:
        """The losses of all players by name."""
        return {name: value for player in self.players() for name, value in player.losses(batch, rng).items()}

    def image_port(self, name: str, description: str) -> Port:
        """A port of images in [-1, 1], float32 (batch, C, H, W)."""
        return Port(name, "float32", ("batch", *self.image.chw), f"{description}, pixels in [-1, 1]", -1.0, 1.0)


def config_from(config_class: type, values: Mapping[str, Any]) -> Any:
    """The configuration with these values, JSON's lists as tuples; the rest are defaults.

    Raises:
        ConfigError: A value has no field, or the configuration refuses it.
    """
    known = [field.name for field in fields(config_class)]
    for name in values:
        if name not in known:
            raise ConfigError(f"option {name!r}: expected one of {', '.join(known)}")
    return config_class(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def require(condition: bool, name: str, expected: str, found: Any) -> None:
    """Refuse an option by name unless the condition holds.

    Raises:
        ConfigError: The condition does not hold.
    """
    if not condition:
        raise ConfigError(f"{name}: expected {expected}, found {found!r}")
