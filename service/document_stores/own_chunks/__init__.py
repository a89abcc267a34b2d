"""Chunks that callers cut and, if they like, embedded themselves, in place of files.

They go the durable way of files: checked as they are read off the request (`spool`), kept as one blob of JSON Lines,
turned into the plan of one document by the worker (`reading`).
"""

LOADER = "chunks"
"""The loader of a document that was given as chunks; its recipe takes neither loader options nor a splitter."""

MIME = "application/x-ndjson"
"""Of the blobs that hold them."""
