"""Loaders that fetch what they load: one way to ask a place for its documents, for upserts and for sync."""
