"""Plumbing that any room may use: command lines and files."""
