"""Translators from what senders speak to Signals: pure, one file each."""
