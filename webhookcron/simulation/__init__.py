"""What load all jobs together would make, computed from their schedules; nothing is called. Pure."""
