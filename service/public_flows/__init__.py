"""What the public sees of chatflows."""
