"""The dashboard: pages that show what a journal holds, and act on it."""
