"""``python -m djchan.upgrade PATH``: turn a Channels 1.x project into one of djchan.

From the command line; on to the files below PATH, and to what a person must decide::

    files ──► survey ──► python, templates ──► the files ──► consumers, facts, lines ──► report
    (which)   (whether)  (edits)               (written)     (advice)                    (printed)

The project is read as text. It is never imported, and no settings are needed. All but
``files`` and ``__main__`` are functions of text.
"""
