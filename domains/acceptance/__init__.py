"""Acceptance: policies and presets, bounds, early stopping, rubric scores. All arithmetic is exact."""
