"""What can go wrong, as one tree.

    GenExportError
    ├── DataError        a data source is missing, broken or not what was said
    ├── ConfigError      an option has a value the model cannot be built with
    ├── CheckpointError  a checkpoint is missing, broken or of another model
    ├── TrainingError    training cannot go on
    │   └── RunStoppedError  it was asked to stop, and its checkpoint is saved
    └── ExportError      a graph cannot be written, or does not agree with its model

Every message is one line that names the thing, what was expected and what was found.
"""


class GenExportError(Exception):
    """The root: the command line prints it as one line and exits with `exit_code`."""

    exit_code = 2


class DataError(GenExportError):
    """A data source is missing, broken or not what was said."""


class ConfigError(GenExportError):
    """An option has a value the model cannot be built with."""


class CheckpointError(GenExportError):
    """A checkpoint is missing, broken or belongs to another model."""


class TrainingError(GenExportError):
    """Training cannot go on: a loss that is not a number, a device that is not there."""


class RunStoppedError(TrainingError):
    """A run was stopped from outside; its checkpoint is saved."""

    exit_code = 130


class ExportError(GenExportError):
    """A graph cannot be written, or does not agree with its model."""


class MissingToolError(GenExportError):
    """A check needs a package that is not installed."""


class PushError(GenExportError):
    """A model hub cannot be reached, or refuses an upload."""


class NothingToCheckError(GenExportError):
    """No input of a file meets the hypotheses of a fact."""


class NoCertificateError(GenExportError):
    """No Lipschitz constant can be proven for a value of a file; the message names the node and says why."""
