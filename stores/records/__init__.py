"""Postgres: the embedded server, the connection to it, and the migrations of the schema."""
