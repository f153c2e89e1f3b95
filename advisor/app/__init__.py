"""The page in the browser: ask, probe, read, explore, compare, trial.

It shows what the package's functions answer and computes nothing of its own. Nothing in its process imports
torch: probes run in processes of their own, see :mod:`advisor.service`.
"""

from advisor.app._launch import launch

__all__ = ["launch", "render"]


def render() -> None:
    """Draw the page; for a script that Streamlit runs."""
    from advisor.app._page import render as draw  # streamlit takes a second to import

    draw()
