"""A report in one file: a run's figures and all its trajectories on a page that needs no network.

`trajectories` reads a run, `figures` counts, `plots` lays pictures out, `packing` makes the texts fit, `search` reads a
search for better prompts, and `page` puts it together.
"""

from autodata.corpus.reporting.page import Report, report_page
from autodata.corpus.reporting.sources import Source, read_source

__all__ = ["Report", "Source", "read_source", "report_page"]
