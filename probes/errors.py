"""The two ways a run can end badly, so that every front end reports them alike."""


class _ToldError(Exception):
    """Its message is one sentence on one line that names the cause and the cure."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))  # names and labels that it quotes may hold line breaks


class InputError(_ToldError, ValueError):
    """What the user gave cannot be used. Command lines exit with code 2."""


class MissingDataError(InputError):
    """A file of data that was named is not there; whoever lists public data may say so."""


class RunError(_ToldError, RuntimeError):
    """The input was fine but the run could not finish (memory, disk, divergence). Command lines exit with
    code 1."""


class NotFiniteError(RunError):
    """A loss or a gradient is infinite or no number; in a wider number format it may not be."""
