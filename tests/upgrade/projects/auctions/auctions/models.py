from django.db import models


class Lot(models.Model):
    title = models.CharField(max_length=80)
    bid = models.PositiveIntegerField(default=0)
