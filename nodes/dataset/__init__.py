"""The outer loop's nodes: choose a batch of documents, walk it through the inner loop, let an analyst write lessons.

`graphs/dataset.py` draws them, `runner/dataset.py` gives them a run folder. The paper names this loop, in which a data
scientist looks at the dataset as a whole, as future work. The optimiser's analyst (`nodes/optimizer/analyst.py`) is
another one: it reads failures to edit prompts.
"""
