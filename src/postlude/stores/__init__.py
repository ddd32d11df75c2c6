"""Where jobs are kept. Everything above asks for a `Store` and never for one of its kinds."""
