"""Do the parts of document stores agree, and how to mend it when they do not."""
