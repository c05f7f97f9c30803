"""What people see: server-rendered pages that work without script and stay live with it."""
