from .base import *
from .apps import *
from .realtime import *
