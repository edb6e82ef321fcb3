"""The command line, one file a command; imports are lazy so that help is instant."""
