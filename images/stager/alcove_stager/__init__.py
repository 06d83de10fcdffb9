"""The init container that puts the files of a run in place."""
