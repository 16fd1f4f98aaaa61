"""The tasks of an Autodata run."""

from .taskset import Questions

__all__ = ["Questions"]
