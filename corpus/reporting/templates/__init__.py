"""The page of a report as files: the template, its style and its script."""
