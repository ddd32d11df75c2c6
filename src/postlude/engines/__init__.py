"""What runs a queue."""
