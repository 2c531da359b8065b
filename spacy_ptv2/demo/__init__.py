"""A page in the browser that shows what pipelines do: `spacy ptv2 demo` (docs/guides/demo.md).

In: pipelines over one backbone, and texts that somebody types. Out: the annotations of all tasks, computed together by
the bank of `serving/`. `loading.py` loads the tasks, `offers.py` says what each offers and what it is to be asked,
`annotating.py` runs them, `app.py` is what a browser talks to, and `page/` what it shows.
"""
