"""What a person sees while a run trains: a bar on a terminal, a line now and then elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class TrainProgress:
    """A loss, images a second and time left, on standard error.

    Args:
        name: What is trained.
        steps: Steps in all.
        step: Steps already finished.
    """

    def __init__(self, name: str, steps: int, step: int) -> None:
        self.console = Console(stderr=True)
        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
        )
        bar = Progress(TextColumn(name), *columns, console=self.console, disable=not self.console.is_terminal)
        self.bar, self.task = bar, bar.add_task(name, total=steps, completed=step, note="")

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def update(self, step: int, loss: tuple[str, float], rate: float) -> None:
        """Show the state after `step` steps: a loss by name, lately, and images a second."""
        name, value = loss
        self.bar.update(self.task, completed=step, note=f"{name} {value:.4f}  {rate:,.0f} images/s")

    def say(self, line: str) -> None:
        """Print one line above the bar."""
        self.console.print(line, highlight=False, soft_wrap=True, markup=False)
