"""Loaders and documents leave a document store: found and listed by nobody from the commit on."""
