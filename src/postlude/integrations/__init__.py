"""Doors to others' telemetry, each an extra of its own: nothing here is imported unless asked for."""
