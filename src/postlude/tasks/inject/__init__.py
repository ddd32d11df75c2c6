"""Parameters of tasks that `Depends` fills."""
