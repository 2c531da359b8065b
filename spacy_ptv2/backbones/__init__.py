"""The frozen model: where its files are, which model it is, one shared copy per process.

In: what a config says about a backbone. Out: a `Backbone`, loaded, frozen and opened for adapters. What differs between
model families, and how an adapter gets into the layers, is in `injection/`.
"""
