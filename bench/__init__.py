"""Measurements. Every figure stands beside a named baseline of the same run, since machines are shared and noisy."""
