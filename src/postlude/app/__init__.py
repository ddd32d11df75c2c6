"""`Postlude` and its lifespan: everything else put together."""
