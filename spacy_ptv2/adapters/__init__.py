"""Adapters: what trains inside the backbone, in plain torch."""
