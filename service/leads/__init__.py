"""Who talks to a chatflow, as they say themselves."""
