"""The Alcove API: pydantic models of the four kinds and of the documents in the object store."""
