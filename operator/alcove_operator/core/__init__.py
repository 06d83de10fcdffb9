"""The pure heart of the operator: what is to be done, computed from frozen snapshots. No I/O, no clock."""
