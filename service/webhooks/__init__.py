"""Agentflows that calls of other services start, and what is sent to these when they have ended."""
