"""Runs a participant's ``model.py``: ``python -I -m alcove_ingestion``."""
