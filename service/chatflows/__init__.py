"""Chatflows: graphs that compose retrievers with model calls; kept as they came, compiled once, run by the engine."""
