"""Code for one processor or operating system, each with the measurement that chose it."""
