"""Where a worker's deliveries run: from the claim to the commit.

From ``djchan.worker``, which starts and stops what is here; on to ``djchan.delivery`` (what
a delivery is) and ``djchan.dispatch`` (what a message is run by)::

    registration   the id under which the layer knows this process, and its heartbeat
    thread         a lane: claims, runs synchronous consumers, commits; one thread each
    loop           the async lane: runs async consumers on one event loop
    batch          one lane's deliveries, and who may take which of them
    monitor        gives back and commits for lanes that are held up by a slow consumer
    exchange       says commits to the layer until it has answered
    crew           what all of them share
    options        every limit of a worker
"""
