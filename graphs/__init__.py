"""What runs, in what order: the state graphs, the run's configuration, the document runner."""

from autodata.graphs.baseline import build_cot_baseline
from autodata.graphs.self_instruct import build_self_instruct

__all__ = ["build_cot_baseline", "build_self_instruct"]
