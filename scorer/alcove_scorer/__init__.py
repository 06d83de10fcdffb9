"""Metrics, learning curves, ranks, reports and the two scorer jobs."""
