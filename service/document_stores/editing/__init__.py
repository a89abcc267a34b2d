"""Single chunks are changed and deleted by hand."""
