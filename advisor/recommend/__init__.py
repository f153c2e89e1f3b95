"""Signals and findings in, advice out.

The rule is ``advisor.findings._rule.decide``: **align**, **do-not-align** or **cannot-tell**. An option can
be advised only if its objective was measured on the same encoder (on more than one, if this one is new),
and whatever lies too far from the evidence is ``cannot-tell``.

Nothing here imports torch: advice from evidence or from saved signals takes a second or two.
"""

from advisor.recommend._answer import ask, check_min_gain, recommend

__all__ = ["ask", "check_min_gain", "recommend"]
