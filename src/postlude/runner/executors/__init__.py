"""Where attempts are executed: the loop, threads, processes."""
