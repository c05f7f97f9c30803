"""The thin shell around the core: intake, turns, timers, courier."""
