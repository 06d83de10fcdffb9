"""The recorder: the only clock of a run."""
