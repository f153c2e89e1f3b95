"""Signals and findings in, advice out.

The rule is ``advisor.decide.decide``: the option of the highest expected gain, if that is above
``min_gain``; and how sure that is.

Nothing here imports torch: advice from evidence or from saved signals takes a second or two.
"""

from advisor.recommend._answer import ask, recommend
from advisor.recommend._asked import Asked, listed

__all__ = ["Asked", "ask", "listed", "recommend"]
