"""Turning calls into jobs: from requests, in bulk, and from sync code."""
