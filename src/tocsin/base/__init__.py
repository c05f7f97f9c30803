"""Small value types that every room may use: sources, durations, clocks, ids."""
