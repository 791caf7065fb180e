"""Side-by-side measurements of Doorward and of servers with a similar job; figures, never assertions."""
