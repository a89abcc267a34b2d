"""Idempotency-Key: a write that is sent twice is done once, and answered with the first answer."""
