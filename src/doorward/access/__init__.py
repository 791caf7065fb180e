"""Who is asking: logins, passwords, rights."""
