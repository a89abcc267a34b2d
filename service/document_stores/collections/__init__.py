"""Where the vectors of document stores lie."""
