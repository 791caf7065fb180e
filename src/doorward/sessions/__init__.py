"""What a session is: its rules, who may open and see one, the catalogue of all of them, search and retention."""
