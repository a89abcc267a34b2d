"""Components that people configure, under Flowise's names: one row each, in the file of their kind."""
