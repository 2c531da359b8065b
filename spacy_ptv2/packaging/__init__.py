"""Makes a trained pipeline a package that others can install, and checks that it arrives unchanged.

`wheels.py` builds the wheel of a pipeline, `backbone_wheels.py` that of a backbone alone, both with `builder.py`.
`manifest.py` says what must be in a package, `sample.py` what it must predict; `verification.py` checks both, and
`summary.py` describes a pipeline.
"""
