"""The attacks that ship with Alcove: each tries to break a promise of docs/security.md on a real cluster."""
