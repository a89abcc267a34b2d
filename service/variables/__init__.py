"""Variables that a workspace keeps for its flows, which find them as `$vars`."""
