"""Where a worker's deliveries run: from the claim to the commit.

From ``djchan.worker``, which starts and stops what is here; on to ``djchan.delivery`` (what
a delivery is) and ``djchan.dispatch`` (what a message is run by)::

    registration   the id under which the layer knows this process, and its heartbeat
    roster         who works, and who takes the place of a lane that is stuck
    thread         a lane: claims, runs synchronous consumers, commits; one thread each
    loop           the async lane: runs async consumers on one event loop
    loopwatch      the limits of what runs there
    batch          one lane's deliveries, and who may take which of them
    monitor        gives back and commits for lanes that are held up by a slow consumer
    exchange       says commits and claims to the layer until it has answered
    ledger         the numbers of what is said, and what became of it
    leases         what we know to be leased to us; reconcile tells the layer
    unsettled      ends that wait for their interface
    outage         whether the layer answers
    limits         how long a consumer may run
    crew           what all of them share
    options        every limit of a worker
"""
