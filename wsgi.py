"""The API as a WSGI application, for any WSGI server: `gunicorn wsgi:app`."""

import os

from webhookcron.app import create_app
from webhookcron.config import load_settings
from webhookcron.logs import configure_logging

settings = load_settings(os.environ, role="api")
configure_logging(settings.log_level, settings.log_format)
app = create_app(settings)
