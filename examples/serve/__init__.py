"""An HTTP service over `AdapterBank`; README.md tells how to start it."""
