"""Agentflows that start by a clock."""
