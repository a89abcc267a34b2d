"""Messages, feedback and leads over HTTP."""
