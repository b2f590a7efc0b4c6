"""Putting the parts together from Settings: the platform that the API uses, the ticker and the worker as processes."""
