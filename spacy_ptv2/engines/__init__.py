"""Engines run a frozen backbone in prediction instead of torch, as one graph that serves every adapter.

`engine.py` chooses and checks, `graph.py` traces a backbone, `openvino_graph.py` compiles, `graph_cache.py` stores.
"""
