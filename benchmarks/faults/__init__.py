"""Runs that are broken at every boundary that can be named, and what must hold of them afterwards."""
