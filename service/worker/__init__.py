"""The process that does background work: a queue to put jobs on, a runner that takes them off."""
