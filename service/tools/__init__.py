"""Tools that a workspace keeps: a description for models, a schema of the input, a function in JavaScript."""
