"""Upserts into document stores, as callers write and read them."""
