from app.settings import *  # noqa: F403

ROOT_URLCONF = "app.async_urls"
