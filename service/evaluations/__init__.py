"""Evaluations: the rows of a dataset put to flows and document stores, and what came of it, measured."""
