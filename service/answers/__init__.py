"""Answers without a model: sentences of the sources that answer the question."""
