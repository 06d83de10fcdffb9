"""Metrics, learning curves, ranks and their pictures; the scorer's jobs and commands run them on one
implementation.
"""

SCORER_VERSION = "1"
"""Part of every scoring digest: raised whenever the same inputs would give another score."""
