"""Who may find the documents of a document store: set with an upsert, changed at any time (ADR 0033)."""
