"""An HTTP service over `PromptBank`; README.md tells how to start it."""
