from django.db import models


class Position(models.Model):
    vehicle = models.CharField(max_length=20)
    place = models.CharField(max_length=40)
