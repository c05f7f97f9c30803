"""From states to what a screen says: pure functions to small structs with ready sentences."""
