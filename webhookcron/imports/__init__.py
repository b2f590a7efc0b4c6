"""What other tools have, as jobs for a file: crontab lines, and curl and wget commands. Pure: text in, fields out."""
