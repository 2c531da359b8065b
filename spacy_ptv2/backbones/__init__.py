"""The frozen model: where its files are, which model it is, one shared copy per process, prompts in its attention.

The only place that asks which family a model is of; a family is one `InjectionRule`.
"""
