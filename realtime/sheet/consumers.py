"""A sheet shared live: who looks at it, and who writes what.

From ``realtime.sheet.routing``; on to the database (``realtime.sheet.cells``), to the socket
that wrote, and to the group of all others on the same sheet.
"""

from djchan import Group
from djchan.auth import channel_session_user, channel_session_user_from_http
from djchan.message import Message
from realtime.logins.binding import close_with_login
from realtime.sheet import cells, frames
from realtime.sheet.frames import Refused, Write, reply
from realtime.sheet.sheets import SHEETS, Sheet


@channel_session_user_from_http
def sheet_connect(message: Message, name: str) -> None:
    """Let anybody look. Whose socket it is goes from the browser's session to its own.

    One of somebody who is signed in is closed with that login: what its session says of the
    user would outlive it. The page comes back for who has signed out, too, and may look.
    """
    sheet = SHEETS.get(name)
    if sheet is None:
        refusal = reply("refused", reason=f"There is no sheet {name}.")
        message.reply_channel.send({"accept": True, **refusal, "close": 4404})
        return
    message.reply_channel.send({"accept": True})
    Group(sheet.group_name).add(message.reply_channel)
    if message.user.is_authenticated:
        close_with_login(message)


@channel_session_user
def sheet_receive(message: Message, name: str) -> None:
    """Show all cells to a page that asks once it is open, or write one.

    When the page asks, its socket is in the group: of what is written meanwhile, nothing
    falls between this answer and the group's next message.
    """
    sheet = SHEETS.get(name)
    if sheet is None:
        return  # closed, and this frame was under way
    try:
        asked = frames.read(message.get("text"))
        if asked is None:
            message.reply_channel.send(reply("cells", cells=cells.read(sheet)))
        else:
            write(message, sheet, asked)
    except Refused as refusal:
        place = frames.place(message.get("text"))
        message.reply_channel.send(reply("refused", reason=str(refusal), **place))


def write(message: Message, sheet: Sheet, asked: Write) -> None:
    # Here, for each write: what a page hides or shows protects nothing. The user is read
    # anew each time, so who was on the staff when the socket opened need not be now.
    if not sheet.may_write(message.user):
        raise Refused(f"{sheet.who} You are {message.user.get_username() or 'not signed in'}.")
    if asked.sheet != sheet.name:
        raise Refused(f"This socket is of the sheet {sheet.name}, not of another one.")
    outcome, cell = cells.write(sheet, asked, message.user)
    message.reply_channel.send(reply(outcome, **cell))
    if outcome == "saved":
        # To all but the writer, who has an answer already. The three happen in one step,
        # together with the end of this message: nothing can come between them.
        group = Group(sheet.group_name)
        group.discard(message.reply_channel)
        group.send(reply("cell", **cell))
        group.add(message.reply_channel)


def sheet_disconnect(message: Message, name: str) -> None:
    if name in SHEETS:
        Group(SHEETS[name].group_name).discard(message.reply_channel)
