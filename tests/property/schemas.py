"""Hypothesis strategies for any of the project's pydantic models, read off their fields."""

import types
from collections.abc import Hashable, Mapping
from enum import Enum
from functools import partial
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

__all__ = ["instances"]

_TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
_PLAIN: Mapping[Any, st.SearchStrategy[Any]] = {
    str: _TEXT,
    int: st.integers(-(2**60), 2**60),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    type(None): st.none(),
}


def instances(
    model: type[BaseModel], special: Mapping[Any, st.SearchStrategy[Any]] | None = None
) -> st.SearchStrategy[Any]:
    """Instances of ``model`` with arbitrary content that its validation accepts.

    Args:
        model: any of the project's.
        special: strategies for annotations whose values must fit together.
    """
    special = special or {}
    fields = {
        name: _values(
            Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation, special
        )
        for name, field in model.model_fields.items()
    }

    def build(values: dict[str, Any]) -> Any:
        try:
            return model(**values)
        except ValidationError:  # the fields do not fit together
            return None

    return st.fixed_dictionaries(fields).map(build).filter(lambda made: made is not None)


def _values(annotation: Any, special: Mapping[Any, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    known = {**_PLAIN, **special}
    if isinstance(annotation, Hashable) and annotation in known:
        return known[annotation]
    inner = [_values(a, special) for a in get_args(annotation) if _is_type(annotation, a)]
    match get_origin(annotation):
        case origin if origin is Annotated:
            bounded = _bounded(*get_args(annotation))
            made = inner[0] if bounded is None else bounded
            return made.filter(partial(_accepted, TypeAdapter(annotation)))
        case origin if origin is Literal:
            made = st.sampled_from(get_args(annotation))
        case origin if origin in (Union, types.UnionType):
            made = st.one_of(*inner)
        case origin if origin is tuple:
            made = st.lists(inner[0], max_size=2).map(tuple)
        case origin if origin is dict:
            made = st.dictionaries(*inner, max_size=2)
        case _ if issubclass(annotation, Enum):
            made = st.sampled_from(annotation)
        case _:
            made = st.deferred(lambda: instances(annotation, special))
    return made


def _is_type(annotation: Any, argument: Any) -> bool:
    """Whether an argument of ``annotation`` is a type: those of Literal and of Annotated need not be."""
    if get_origin(annotation) is Annotated:
        return argument is get_args(annotation)[0]
    return get_origin(annotation) is not Literal and argument is not ...


def _bounded(kind: Any, *constraints: Any) -> st.SearchStrategy[Any] | None:
    """Numbers between the bounds of an annotation."""
    found = {
        name: bound
        for constraint in constraints
        for name in ("ge", "gt", "le", "lt")
        if (bound := getattr(constraint, name, None)) is not None
    }
    least, most = found.get("ge", found.get("gt")), found.get("le", found.get("lt"))
    if kind is int:
        return st.integers(least, most)
    if kind is float:
        return st.floats(least, most, allow_nan=False, allow_infinity=False)
    return None


def _accepted(adapter: TypeAdapter[Any], value: Any) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True
