"""Doing again what failed of an upsert, from the uploads that were kept."""
