"""A function's ``request`` spelled out: one keyword argument for every field of it."""

from collections.abc import Callable, Collection
from functools import wraps
from inspect import Parameter, Signature, getdoc, signature
from typing import Any, TypeVar

from probes.request import ProbeRequest, plain_type

R = TypeVar("R")


def spelled_out(
    *, leave_out: Collection[str] = (), required: Collection[str] = ()
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Decorator: the first parameter, a request, is given as keyword arguments, the model by position too.

    A request that is there already is taken as well. Signature and documentation name every field.

    Args:
        leave_out: fields that the function does not ask for; they keep their defaults.
        required: fields that it cannot do without, though a request can.
    """

    def decorate(function: Callable[..., R]) -> Callable[..., R]:
        _, *own = signature(function).parameters.values()
        asked = {name: field for name, field in ProbeRequest.model_fields.items() if name not in leave_out}
        parameters = [
            Parameter(
                name,
                Parameter.POSITIONAL_OR_KEYWORD if name == "model" else Parameter.KEYWORD_ONLY,
                default=Parameter.empty if field.is_required() or name in required else field.default,
                annotation=plain_type(field),
            )
            for name, field in asked.items()
        ]
        spelled = Signature([*parameters, *own])

        @wraps(function)
        def call(*args: Any, **named: Any) -> R:
            if args and isinstance(args[0], ProbeRequest):
                return function(*args, **named)
            given = spelled.bind(*args, **named).arguments
            rest = {parameter.name: given.pop(parameter.name) for parameter in own if parameter.name in given}
            return function(ProbeRequest.of(**given), **rest)

        call.__signature__ = spelled  # type: ignore[attr-defined]
        lines = "\n".join(f"    {name}: {field.description}" for name, field in asked.items())
        call.__doc__ = (getdoc(function) or "").replace("Args:\n", f"Args:\n{lines}\n")
        return call

    return decorate
