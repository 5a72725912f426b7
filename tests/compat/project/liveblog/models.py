import json

from django.db import models

from djchan import Group


class Liveblog(models.Model):
    slug: "models.SlugField[str, str]" = models.SlugField(unique=True)

    def __str__(self) -> str:
        return self.slug

    @property
    def group_name(self) -> str:
        return f"liveblog-{self.pk}"


class Post(models.Model):
    liveblog: "models.ForeignKey[Liveblog, Liveblog]" = models.ForeignKey(
        Liveblog, on_delete=models.CASCADE
    )
    body: "models.TextField[str, str]" = models.TextField()

    def __str__(self) -> str:
        return self.body

    def save(self, *args: object, **kwargs: object) -> None:
        """As everybody did it: from a view, a worker, a shell."""
        super().save(*args, **kwargs)  # type: ignore[arg-type]
        Group(self.liveblog.group_name).send({"text": json.dumps({"post": self.body})})
