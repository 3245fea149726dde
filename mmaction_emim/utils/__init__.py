"""Plumbing that any room may use: command lines, files and imports."""
