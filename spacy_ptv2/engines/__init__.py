"""Other ways than torch to run a frozen backbone in prediction: one graph for every task, the prompts among its inputs.

`engine.py` chooses and checks, `graph.py` traces a backbone, `openvino_graph.py` compiles, `graph_cache.py` keeps.
"""
