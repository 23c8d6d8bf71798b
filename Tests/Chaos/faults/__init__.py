"""What is done to a server, a kind of abuse a file; each function says in a line what it did."""
