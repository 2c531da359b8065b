"""Where backbones lie on PyPI in another form, a module for each: how it is unpacked, verified and written."""
