"""A package, so that its tests share one platform and one browser."""
