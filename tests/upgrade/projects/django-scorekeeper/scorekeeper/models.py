from django.db import models


class Team(models.Model):
    name = models.CharField(max_length=50)
    points = models.IntegerField(default=0)
    secret = models.CharField(max_length=50, blank=True)
