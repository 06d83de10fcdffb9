"""The operator's pure heart: what is to be done, computed from frozen snapshots. No I/O, no clock, no client."""
