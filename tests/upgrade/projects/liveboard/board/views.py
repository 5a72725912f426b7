import json

from channels import Group
from django.http import HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from .models import Note


def index(request):
    return render(request, 'board/index.html', {'notes': Note.objects.all()})


def post(request):
    if request.is_ajax():
        note = Note.objects.create(author=request.user, text=request.POST['text'])
        Group('board-main').send({'text': json.dumps({'id': note.pk, 'text': note.text})})
    return HttpResponseRedirect(reverse('index'))
