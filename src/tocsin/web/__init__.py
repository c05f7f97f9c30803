"""HTTP: what senders, programs and browsers say to Tocsin, and who may say it."""
