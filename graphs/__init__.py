"""What runs, in what order: the topology of the state graphs, and the functions that choose the next node.

The builders are exported here and by `autodata`, each imported when it is first used; all other public names are
`autodata`'s.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autodata.graphs.cot_baseline import build_cot_baseline
    from autodata.graphs.optimizer import build_optimizer
    from autodata.graphs.self_instruct import build_self_instruct

__all__ = ["build_cot_baseline", "build_optimizer", "build_self_instruct"]


def __getattr__(name: str) -> Any:
    """Return a builder; or a public name that stood here before, with a warning: it is to go with the next version."""
    if name in __all__:
        return getattr(import_module(f"autodata.graphs.{name.removeprefix('build_')}"), name)
    import autodata  # noqa: PLC0415 - upwards, for the old names alone

    if name.startswith("_") or name not in autodata.__all__:
        raise AttributeError(f"module 'autodata.graphs' has no attribute {name!r}")
    warnings.warn(f"import {name} from autodata, not from autodata.graphs", DeprecationWarning, stacklevel=2)
    return getattr(autodata, name)
