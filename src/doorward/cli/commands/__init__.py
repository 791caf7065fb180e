"""The commands that talk to a server. What is heavy is imported where it is used: ``doorward serve`` loads these modules too."""
