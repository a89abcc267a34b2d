"""Reports on evaluations: one self-contained HTML page of a run, or of two compared."""
