"""Ragstone: documents in, answers with their sources out."""

__version__ = "0.1.0"
