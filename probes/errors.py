"""The two ways a run can end badly, so that every front end reports them alike."""

__all__ = ["InputError", "NotFiniteError", "RunError"]


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one sentence that names the cause and the cure. Command lines exit with code 2.
    """


class RunError(RuntimeError):
    """The input was fine but the run could not finish (memory, disk, divergence).

    The message is one sentence that names the cause and the cure. Command lines exit with code 1.
    """


class NotFiniteError(RunError):
    """A loss or a gradient is infinite or no number; in a wider number format it may not be."""
