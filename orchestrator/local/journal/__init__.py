"""moto as a durable store: its WSGI application behind a log of everything that changed it."""
