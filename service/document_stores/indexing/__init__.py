"""Chunks into both indexes and out of them again: the fill, edits, and the routes of the contract's vector stores."""
