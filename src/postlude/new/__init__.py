"""New projects: a whole application from templates, and what an existing one has to change."""
