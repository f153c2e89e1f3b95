"""Time and memory, told before a run.

:mod:`probes.cost.timing` times single passes, :mod:`probes.cost.timing` counts the work there is; nothing
that is exported here imports torch.
"""

from probes.cost.estimate import CostEstimate, PassTimes, Workload, estimate_cost

__all__ = ["CostEstimate", "PassTimes", "Workload", "estimate_cost"]
