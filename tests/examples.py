"""How many examples a property is tried on."""

from typing import Any

from hypothesis import settings

__all__ = ["USUAL", "examples"]

USUAL = 25
"""In a plain run; it is 100 in an exhaustive one (``--hypothesis-profile=exhaustive``)."""


def examples(most: int, **more: Any) -> settings:
    """Settings for a property: an exhaustive run tries ``most`` examples, a plain one a quarter of them."""
    tried = max(5, round(most * settings().max_examples / 100))
    return settings(max_examples=tried, deadline=None, **more)
