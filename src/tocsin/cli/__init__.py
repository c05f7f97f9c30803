"""The commands. Each file holds a group of them; ``main`` puts them together."""
