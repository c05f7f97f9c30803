"""Translators to and from the outside: bytes to Signals, Messages to requests. They do no I/O."""
