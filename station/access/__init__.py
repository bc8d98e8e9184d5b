"""Who may ask the station for what: roles, and what each request needs. The daemon decides by this, whoever asks."""
