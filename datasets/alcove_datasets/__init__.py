"""The dataset format: read, write, check, make, publish and fetch."""
