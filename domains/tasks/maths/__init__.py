"""Mathematics on texts from outside: are two answers the same, what is an expression worth.

Code decides for texts written alike and for one plain scalar expression a side (`parser` reads it), under every
reading that their notation leaves open; everything else is left to a judge. Rational values are compared exactly, roots
of them too, by a bound below which a difference can only be zero (`bounds`); other values to more digits than the
expressions hold; names are replaced by numbers of both signs and of many magnitudes. The work is bounded by its own
count, not by a clock: a verdict is the same on any machine.
"""

from autodata.domains.tasks.maths.calculator import evaluate
from autodata.domains.tasks.maths.comparison import Same, answer_key, compare
from autodata.domains.tasks.maths.numeric import require_installed
from autodata.domains.tasks.maths.wrapping import boxes, unwrapped

__all__ = ["Same", "answer_key", "boxes", "compare", "evaluate", "require_installed", "unwrapped"]
