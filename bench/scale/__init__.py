"""The operator at size: many submissions on a real API server, on nodes that are played."""
