"""Another embedding for a document store: its vectors are made anew beside the old ones, which answer until then."""
