"""A request: what it adds, stored before its response and started after it. Framework-neutral ASGI."""
