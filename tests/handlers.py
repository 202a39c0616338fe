"""The app's functions as the host calls them, by name. Indexed here, because an app can be indexed only once."""

from __future__ import annotations

import function_app

HANDLERS = {one.get_function_name(): one.get_user_function() for one in function_app.app.get_functions()}
