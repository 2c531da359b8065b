"""Examples that stand on the package: a service over a bank of prompts."""
