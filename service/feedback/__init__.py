"""What people say of answers: a thumb up or down, and why."""
