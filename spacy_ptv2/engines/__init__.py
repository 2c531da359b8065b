"""Engines: what runs a frozen backbone in prediction in place of torch, as one graph for every adapter.

`engine.py` chooses and checks, `graph.py` traces a backbone, `openvino_graph.py` compiles, `graph_cache.py` keeps.
"""
