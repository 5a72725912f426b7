"""``python -m djchan.upgrade PATH``: turn a Channels 1.x project into one of djchan.

From the command line; on to the files below PATH, and to what a person must decide::

    files ──► survey ──► python, templates ──► the files ──► advice ──► report
    (which)   (whether)  (edits)               (written)     (notes)    (printed)

Advice is a module for each thing that a person decides: of the whole project ``bindings``,
``configuration``, ``consumers``, ``facts`` and ``old_layers``; of one file ``lines``, which asks
``commands``, ``versions`` and, for requirements, ``pins``.

The project is read as text. It is never imported, and no settings are needed. All are
functions of text but ``files``, ``__main__``, and ``pins.needed``, which asks what is installed.
"""
