"""Jobs that join a transaction of the application's: there with its data, or not at all."""
