"""The command line as a client of the API: settings, requests, and what is found by them. Knows no server code."""
