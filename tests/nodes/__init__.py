"""Runs on a cluster of several nodes, one of which dies: ``make e2e-nodes``."""
