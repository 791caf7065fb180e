"""A worker process: takes sockets of clients from control, runs their sessions, records them, and goes on without control."""
