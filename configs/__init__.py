"""The shipped training configs, which `spacy ptv2 init` hands out; installed as the package `spacy_ptv2.configs`."""
