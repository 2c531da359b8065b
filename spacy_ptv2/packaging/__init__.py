"""From a trained pipeline to a package that others install, and checks that it arrived unchanged.

`wheels.py` builds a pipeline's wheel, `backbone_wheels.py` one of a backbone alone; `requirements.py` says what either
needs, `manifest.py` and `sample.py` what must be in it and come out of it; `verification.py` and `summary.py` look.
"""
