"""A run as its report shows it: what the folder's log, checkpoint and files say, each as far as it is there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen_export.report.blocks import mapping, shown
from gen_export.report.folder import Entry, RunFolder
from gen_runtime import FileError, GenRuntimeError, Model, load


@dataclass(frozen=True, slots=True)
class Run:
    """A run.

    Attributes:
        folder: Where it is.
        entries: Its log.
        sessions: What started it, and each resumption.
        record: What its checkpoint says.
        model: Its exported files; None where there are none that open.
        refused: Why not.
    """

    folder: RunFolder
    entries: Sequence[Entry]
    sessions: Sequence[Entry]
    record: Entry
    model: Model | None
    refused: str = ""

    @property
    def family(self) -> str:
        """The model's family."""
        return shown(self.record.get("family") or (self.model.card.family if self.model else "a run"))

    def section(self, name: str) -> Mapping[str, Any]:
        """A section `config`, `data`, `training` or `schedule`: the checkpoint's, else the main file's."""
        of_record = self.record.get("settings" if name == "training" else name)
        return mapping(of_record or (self.model and getattr(self.model.card, name)))

    def total(self, name: str) -> Any:
        """How many steps or seconds it trained, as the checkpoint says, else the main file."""
        training = mapping(self.model.card.training if self.model else None)
        return self.record.get("step" if name == "steps" else name) or training.get(name)


def read_run(path: Path) -> Run:
    """The run in a folder.

    Raises:
        DataError: There is none.
    """
    folder = RunFolder(path)
    model, refused = _opened(folder)
    return Run(folder, folder.entries(), folder.sessions(), folder.record(), model, refused)


def _opened(folder: RunFolder) -> tuple[Model | None, str]:
    """The folder's model, or one line that says why there is none."""
    path = folder.main_file()
    if path is None:
        return None, "No exported files: gen-export export RUN writes them."
    try:
        model = load(path, device="cpu")
        for name in model.card.parts:
            if folder.file(model.part_path(name).name) is None:
                raise FileError(f"{path}: expected its part {name} in the same folder, found none")
    except GenRuntimeError as error:
        return None, f"The exported files are left out: {error}"
    return model, ""
