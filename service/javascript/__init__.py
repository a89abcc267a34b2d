"""JavaScript of tools and functions, run apart: in an isolate of V8, in a process of its own that has nothing else."""
