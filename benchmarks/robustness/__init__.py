"""What becomes of damaged files, and of a wheel whose backbone is elsewhere."""
