"""Keyword search: BM25 in plain Postgres, by language, for every vector backend."""
