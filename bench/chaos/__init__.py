"""Faults at random moments on a real cluster under load, and a judge that uses no code of operator and scorer."""
