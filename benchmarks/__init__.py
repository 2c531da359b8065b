"""Measurements side by side in one run; README.md lists the commands."""
