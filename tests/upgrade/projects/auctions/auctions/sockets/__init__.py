from .bids import take_bid
from .pages import *
