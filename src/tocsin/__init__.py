"""Tocsin turns the incident runbook a team already has into a running incident-response system."""

__version__ = "0.1.0"
