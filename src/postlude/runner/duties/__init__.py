"""What a runner does from time to time."""
