"""The rules: each finds one kind of thing, and only what is certain."""
