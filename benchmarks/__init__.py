"""Measurements: speed (``python -m benchmarks``), and the experiments behind docs/results."""
