"""A function's ``request`` spelled out: one keyword argument for every field of it."""

from collections.abc import Callable, Collection
from functools import wraps
from inspect import Parameter, Signature, getdoc, signature
from typing import Any, TypeVar

from advisor._objects import as_files
from probes.request import ProbeRequest, plain_type

R = TypeVar("R")


def spelled_out(
    of: Any = ProbeRequest,
    *,
    leave_out: Collection[str] = (),
    required: Collection[str] = (),
    objects: bool = False,
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Decorator: the first parameter, a request, is given as keyword arguments, the model by position too.

    A request that is there already is taken as well. Signature and documentation name every field.

    Args:
        of: type of the request.
        leave_out: fields that the function does not ask for; they keep their defaults.
        required: fields that it cannot do without, though a request can.
        objects: whether model and data may be objects. The function then takes ``tokenizer``, and ``hidden``:
            what the paths of the files begin with that were made of them.
    """

    def decorate(function: Callable[..., R]) -> Callable[..., R]:
        _, *own = (one for one in signature(function).parameters.values() if one.name != "hidden")
        asked = {name: field for name, field in of.model_fields.items() if name not in leave_out}
        parameters = [
            Parameter(
                name,
                Parameter.POSITIONAL_OR_KEYWORD if name == "model" else Parameter.KEYWORD_ONLY,
                default=Parameter.empty if field.is_required() or name in required else field.default,
                annotation=plain_type(field),
            )
            for name, field in asked.items()
        ]
        spelled = Signature(sorted([*parameters, *own], key=lambda parameter: parameter.kind))

        @wraps(function)
        def call(*args: Any, **named: Any) -> R:
            if args and isinstance(args[0], of):
                return function(*args, **named)
            given = spelled.bind(*args, **named).arguments
            rest = {parameter.name: given.pop(parameter.name) for parameter in own if parameter.name in given}
            if not objects:
                return function(of.of(**given), **rest)
            with as_files(given, rest.get("tokenizer")) as (files, hidden):
                return function(of.of(**files), **rest, hidden=hidden)

        call.__signature__ = spelled  # type: ignore[attr-defined]
        lines = "\n".join(f"    {name}: {field.description}" for name, field in asked.items())
        call.__doc__ = (getdoc(function) or "").replace("Args:\n", f"Args:\n{lines}\n")
        return call

    return decorate
