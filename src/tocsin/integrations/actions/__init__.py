"""Translators for what Tocsin does to a system: pure, one file each. None is built yet."""
