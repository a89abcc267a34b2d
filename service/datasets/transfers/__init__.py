"""Datasets' imports, exports and drafts, over HTTP. Flowise has none of it."""
