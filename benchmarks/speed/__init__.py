"""How fast: training, annotation, imports, and the products below them."""
