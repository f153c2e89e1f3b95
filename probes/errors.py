"""The two ways a run can end badly, so that every front end reports them alike."""


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one sentence on one line that names the cause and the cure. Command lines exit with code 2.
    """

    def __init__(self, message: str) -> None:
        super().__init__(_on_one_line(message))


class MissingDataError(InputError):
    """A file of data that was named is not there; whoever lists public data may say so."""


class RunError(RuntimeError):
    """The input was fine but the run could not finish (memory, disk, divergence).

    The message is one sentence on one line that names the cause and the cure. Command lines exit with code 1.
    """

    def __init__(self, message: str) -> None:
        super().__init__(_on_one_line(message))


class NotFiniteError(RunError):
    """A loss or a gradient is infinite or no number; in a wider number format it may not be."""


def _on_one_line(message: str) -> str:
    """Names and labels that a message quotes may hold line breaks."""
    return " ".join(message.split())
