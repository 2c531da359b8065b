"""Adapters: everything that trains inside the backbone, in plain torch."""
