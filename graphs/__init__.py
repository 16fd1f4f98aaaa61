"""What runs, in what order: the topology of the state graphs, and the functions that choose the next node."""

from autodata.graphs.cot_baseline import build_cot_baseline
from autodata.graphs.optimizer import build_optimizer
from autodata.graphs.self_instruct import build_self_instruct

__all__ = ["build_cot_baseline", "build_optimizer", "build_self_instruct"]
