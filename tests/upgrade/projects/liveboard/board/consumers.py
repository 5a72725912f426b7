import json

from channels import Group
from channels.auth import channel_session_user, channel_session_user_from_http
from channels.sessions import enforce_ordering

from .models import Note


@enforce_ordering
@channel_session_user_from_http
def ws_add(message, name):
    message.channel_session['name'] = name
    Group('board-%s' % name).add(message.reply_channel)
    # Channels 0.x accepted a socket that nobody refused.


@enforce_ordering
@channel_session_user
def ws_message(message):
    if not message.user.is_authenticated():
        return
    note = Note.objects.create(author=message.user, text=json.loads(message['text'])['text'])
    Group('board-%s' % message.channel_session['name']).send({
        'text': json.dumps({'id': note.pk, 'text': note.text}),
    })


@channel_session_user
def ws_disconnect(message):
    Group('board-%s' % message.channel_session['name']).discard(message.reply_channel)
