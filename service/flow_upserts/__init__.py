"""Upserts into the vector stores of chatflows."""
