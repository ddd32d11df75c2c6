"""One attempt of a job, from its start to its outcome."""
