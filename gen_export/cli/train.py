"""The command group `train`: one command a family, its options read from what the family declares."""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from gen_export.cli.options import given
from gen_export.cli.run import Device
from gen_export.errors import ConfigError
from gen_export.models import FAMILIES, family_class

if TYPE_CHECKING:
    from gen_export.models.family import Family
    from gen_export.training.processes import Processes

RUN_OPTIONS = {
    "data": (
        Annotated[str, typer.Option(help="A set's name, file or folder: see gen-export data list.")],
        "sprites",
    ),
    "out": (Annotated[Path | None, typer.Option(help="Folder of the run; by default runs/FAMILY.")], None),
    "resume": (
        Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder and its options.")],
        False,
    ),
    "image_size": (
        Annotated[int | None, typer.Option(help="Side that a folder's images are cropped to.")],
        None,
    ),
    "strict": (Annotated[bool, typer.Option("--strict", help="Stop at a bad image.")], False),
    "device": (Annotated[Device, typer.Option(help="auto takes CUDA where there is one.")], Device.auto),
    "cuda": (Annotated[bool, typer.Option("--cuda", help="The same as --device cuda.")], False),
    "processes": (
        Annotated[int, typer.Option(min=1, help="Processes on this machine that share each batch: on CUDA one a GPU.")],
        1,
    ),
    "tensorboard": (
        Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard's event files beside the log.")],
        False,
    ),
}
FROM_DATA = "classes"
"""A field of a family's options that the data decides: the names of its classes. A flag where it has a default."""
WITH_RESUME = ("data", "out", "resume", "device", "cuda", "processes", "tensorboard")


class FamilyCommand(TyperCommand):
    """A family's command, known by name until it is called: its options need the family's module, and torch."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the real command."""
        return family_command(str(self.name)).make_context(info_name, args, parent, **extra)


class FamilyGroup(TyperGroup):
    """One command for each registered family."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The families' names."""
        return list(FAMILIES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a family; None for another name."""
        return FamilyCommand(cmd_name, help=FAMILIES[cmd_name][2]) if cmd_name in FAMILIES else None


app = typer.Typer(cls=FamilyGroup, no_args_is_help=True)


@app.callback()
def train() -> None:
    """Train a model and export it.

    Example: gen-export train diffusion --data photos/ --image-size 32 --steps 20000
    """


def family_command(name: str) -> Any:
    """The command that trains a family, with its own options, the loop's and the run's."""
    from gen_export.training.settings import TrainSettings

    cls = family_class(name)
    options = {
        **RUN_OPTIONS,
        **dict(_options(cls.Config, "Model")),
        **dict(_options(TrainSettings, "Training", cls.defaults)),
    }

    def command(ctx: typer.Context, **values: Any) -> None:
        _train(cls, values, given(ctx))

    help_text = f"{cls.summary}\n\nExample: gen-export train {name} --data sprites --steps 5000"
    return typer.main.get_command(_single(command, options, name, help_text))


def _options(
    config: type, panel: str, defaults: Mapping[str, Any] | None = None
) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """The fields of a dataclass as command-line options under one heading: name, annotation and default.

    Args:
        config: The dataclass.
        panel: The heading.
        defaults: Those that are not the dataclass's own.
    """
    hints = get_type_hints(config, include_extras=True)
    for field in fields(config):
        if field.name == FROM_DATA and field.default is MISSING:
            continue
        kind, text = (
            get_args(hints[field.name]) if get_origin(hints[field.name]) is Annotated else (hints[field.name], "")
        )
        default = (defaults or {}).get(field.name, ... if field.default is MISSING else field.default)
        if field.name == FROM_DATA:
            kind, flag, default = bool, [f"--{FROM_DATA}"], False
        else:
            flag = []
        yield field.name, (Annotated[kind, typer.Option(*flag, help=text, rich_help_panel=panel)], default)


def _single(command: Callable[..., None], options: dict[str, tuple[Any, Any]], name: str, text: str) -> typer.Typer:
    """An application with this one command, whose parameters are the options."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter(option, keyword, default=default, annotation=kind)
        for option, (kind, default) in options.items()
    ]
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    command.__signature__ = inspect.Signature([context, *parameters])  # pyright: ignore[reportFunctionMemberAccess]
    command.__annotations__ = {
        "ctx": typer.Context,
        **{option: kind for option, (kind, _) in options.items()},
    }
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command(name, help=text)(command)
    return single


def _train(cls: type["Family"], values: dict[str, Any], given: set[str]) -> None:
    """Train or resume, then export the averaged weights: in this process, or as one of several."""
    from gen_export.cli.export import write
    from gen_export.training.checkpoint import restore_averaged
    from gen_export.training.device import pick_device
    from gen_export.training.launch import launch
    from gen_export.training.processes import joined, launched

    device = pick_device("cuda" if values["cuda"] else values["device"].value)
    folder = values["out"] or Path("runs") / cls.name
    if values["processes"] not in (1, launched()):
        if launched() > 1:
            raise ConfigError(f"--processes: expected {launched()}, as launched, found {values['processes']}")
        raise typer.Exit(launch(values["processes"], sys.argv[1:], device))
    with joined(device) as (processes, device):
        _fit(cls, values, given, folder, device, processes)
    if processes.first:
        record, model = restore_averaged(folder)
        write(model, record, folder, cls.name)


def _fit(
    cls: type["Family"],
    values: dict[str, Any],
    given: set[str],
    folder: Path,
    device: Any,
    processes: "Processes",
) -> None:
    """Train or resume."""
    from gen_export.training import run
    from gen_export.training.settings import TrainSettings

    if values["resume"]:
        _refuse_with_resume(given)
        moved = values["data"] if "data" in given else None
        run.resume(cls.name, folder, device, moved, values["tensorboard"], processes)
    else:
        config = {field.name: values.get(field.name, True) for field in fields(cls.Config)}
        settings = TrainSettings(**{field.name: values[field.name] for field in fields(TrainSettings)})
        source = run.Source(values["data"], values["image_size"], values["strict"])
        run.start(cls.name, config, settings, source, folder, device, values["tensorboard"], processes)


def _refuse_with_resume(given: set[str]) -> None:
    """A resumed run has its options in its checkpoint.

    Raises:
        ConfigError: Another option was given.
    """
    for name in sorted(given - set(WITH_RESUME)):
        raise ConfigError(
            f"--{name.replace('_', '-')}: a resumed run keeps its options; leave it out, or start a new run"
        )
