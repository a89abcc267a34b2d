"""Loaders of document stores as forms work with them: configured, tried out, saved, processed, made anew."""
