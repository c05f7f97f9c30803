"""What is written about an incident afterwards. Pure."""
