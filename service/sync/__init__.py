"""Sync sources: where a loader's documents come from, when they are looked at again, and what a look did."""
