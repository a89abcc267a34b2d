"""What was said in the conversations of a chatflow: listed, counted, deleted."""
