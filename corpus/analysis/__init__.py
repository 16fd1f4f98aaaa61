"""What a run's accepted examples are like as data: doubles, coverage, rubrics, learnability, contamination.

`analysed` puts it together; each module computes one part from rows and marks alone, and says what its figures mean.
"""

from autodata.corpus.analysis.likeness import SIMILAR, Embedded
from autodata.corpus.analysis.whole import MEANINGS, analysed

__all__ = ["MEANINGS", "SIMILAR", "Embedded", "analysed"]
