"""`station ...`: one file a command. Nothing imports a command."""
