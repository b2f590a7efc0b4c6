"""Jobs as code: YAML files of cron jobs, what applying them would change, and files made of what exists.

Everything here is pure but for reading files: what the platform has comes in as the API shows it.
"""
