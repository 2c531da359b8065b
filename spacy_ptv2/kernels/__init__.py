"""What is written for one processor or one operating system, each with the measurement that chose it."""
