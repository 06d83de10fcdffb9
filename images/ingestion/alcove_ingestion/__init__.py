"""Runs a participant's model.py inside the ingestion image."""
