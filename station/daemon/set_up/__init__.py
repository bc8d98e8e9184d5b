"""What set-up asks of the daemon: another content of a file of the configuration, taken up and then written."""
