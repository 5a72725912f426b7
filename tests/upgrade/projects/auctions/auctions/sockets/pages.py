from channels import Group


def opened(message):
    message.reply_channel.send({"accept": True})
    Group("lots").add(message.reply_channel)
