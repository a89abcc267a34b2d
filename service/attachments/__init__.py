"""Files that conversations bring along: read, kept for a while, removed with their chatflow."""
