"""The client of the API server, for operator, scorer and command line."""
