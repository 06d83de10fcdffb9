"""Checks what a phase's scores and ranks were made of, in the store or in an archive of it, and names what differs."""
