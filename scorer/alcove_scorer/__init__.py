"""Metrics, learning curves, ranks and their pictures; the scorer's jobs and commands run them on one implementation."""
