"""Converters: a table, texts, series, pictures, recordings or clips become a dataset.

:mod:`.base` says what a converter is, :mod:`.run` puts one to work; there is a module a kind.
"""
