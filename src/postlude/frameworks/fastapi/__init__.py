"""FastAPI: the only room that knows its private names."""
