"""The two ways a run can end badly, so that every front end reports them alike."""

__all__ = ["InputError", "RunError"]


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one sentence that names the cause and the cure. Command lines exit with code 2.
    """


class RunError(RuntimeError):
    """The input was fine but the run could not finish (memory, disk, divergence).

    The message is one sentence that names the cause and the cure. Command lines exit with code 1.
    """
