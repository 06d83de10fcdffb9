"""Measurements. Every figure stands beside a named baseline of the same run, since machines are shared and noisy."""

PEAK = (
    "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
)
"""A small process that runs another, and prints the most memory that it took, KiB: a child's peak is at least what its
parent had."""
