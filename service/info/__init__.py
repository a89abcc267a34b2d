"""Whether the service lives, and which one it is."""
